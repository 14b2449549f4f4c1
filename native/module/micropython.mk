# The engine as module `_smidgen` in the firmware of a port that builds with make:
#
#     make -C ports/unix USER_C_MODULES=/path/to/smidgen/native FROZEN_MANIFEST=/path/to/your/manifest.py
#
# where your manifest has, besides what the port's own has: include("/path/to/smidgen/native/module/manifest.py")

SMIDGEN_CORE := $(USERMOD_DIR)/../core
SRC_USERMOD_C += $(USERMOD_DIR)/smidgen.c $(sort $(wildcard $(SMIDGEN_CORE)/*.c))

# Kernels are worth speed; what runs once at load is worth size. Object files lie below BUILD as py/py.mk puts them.
SMIDGEN_OBJECTS := $(patsubst $(USER_C_MODULES)/%.c,$(BUILD)/%.o,$(wildcard $(SMIDGEN_CORE)/*.c))
SMIDGEN_LOAD_OBJECTS := $(filter %/load.o %/load_operator.o %/load_weights.o,$(SMIDGEN_OBJECTS))
$(filter-out $(SMIDGEN_LOAD_OBJECTS),$(SMIDGEN_OBJECTS)): CFLAGS += -O2
$(SMIDGEN_LOAD_OBJECTS): CFLAGS += -Os
