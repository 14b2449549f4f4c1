# The engine as module `_smidgen` in the firmware of a port that builds with CMake:
#
#     cmake -S ports/rp2 -B build -DMICROPY_BOARD=RPI_PICO -DUSER_C_MODULES=/path/to/smidgen/native/module \
#           -DMICROPY_FROZEN_MANIFEST=/path/to/your/manifest.py
#
# where your manifest has, besides what the port's own has: include("/path/to/smidgen/native/module/manifest.py")

get_filename_component(SMIDGEN_CORE ${CMAKE_CURRENT_LIST_DIR}/../core ABSOLUTE)
file(GLOB SMIDGEN_KERNELS CONFIGURE_DEPENDS ${SMIDGEN_CORE}/*.c)
set(SMIDGEN_LOAD ${SMIDGEN_CORE}/load.c ${SMIDGEN_CORE}/load_operator.c ${SMIDGEN_CORE}/load_weights.c)
list(REMOVE_ITEM SMIDGEN_KERNELS ${SMIDGEN_LOAD})

add_library(usermod_smidgen INTERFACE)
target_sources(usermod_smidgen INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/smidgen.c
    ${SMIDGEN_KERNELS}
    ${SMIDGEN_LOAD}
)
target_link_libraries(usermod INTERFACE usermod_smidgen)

# Kernels are worth speed; what runs once at load is worth size.
set_source_files_properties(${SMIDGEN_KERNELS} PROPERTIES COMPILE_OPTIONS -O2)
set_source_files_properties(${SMIDGEN_LOAD} PROPERTIES COMPILE_OPTIONS -Os)
