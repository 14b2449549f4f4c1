"""Freezes the Python of smidgen into firmware that has the engine (USER_C_MODULES); your own manifest includes it."""

package("smidgen", ("__init__.py", "model.py"), base_path="../../device")
