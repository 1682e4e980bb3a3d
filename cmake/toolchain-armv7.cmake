# Debian's cross compiler for Linux on armv7; programs run under qemu's user emulation.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
# Debian's own baseline has no NEON. VFPv4 multiplies and adds in one instruction, as AVX2 does: Cortex-A7, A15 and later,
# the Raspberry Pi from its second edition on.
# Files and folders are asked for in 64 bits.
set(CMAKE_C_FLAGS_INIT "-march=armv7-a -mfpu=neon-vfpv4 -D_FILE_OFFSET_BITS=64")
# Notes on what g++ 7 changed in passing arguments say nothing here.
set(CMAKE_CXX_FLAGS_INIT "-march=armv7-a -mfpu=neon-vfpv4 -D_FILE_OFFSET_BITS=64 -Wno-psabi")
set(CMAKE_FIND_ROOT_PATH /usr/arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm -L /usr/arm-linux-gnueabihf)
set(TENON_SMALL_PROCESSOR cortex-a7)
# Highway converts from and to float16 where the processor can, for which this compiler wants to know which kind it is. By the macro,
# which clang has and g++ does not, it knows that there is a multiply-and-add.
set(TENON_SIMD_OPTIONS -mfp16-format=ieee -D__ARM_VFPV4__)
