# Frozen into the firmware of a Pico with smidgen inside.
include("../pico/manifest.py")
include("../../../native/module/manifest.py")
