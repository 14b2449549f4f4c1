"""Texas Instruments INA219, INA226 and INA228: current sensors on I2C."""
