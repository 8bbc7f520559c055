# Language level, warnings and sanitizers, the same for every target of the tree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(GBE_CCACHE ccache)
if(GBE_CCACHE)
  # Paths below the checkout are made relative, so that a fresh clone hits what another one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${GBE_CCACHE}")
endif()

add_library(gbe_options INTERFACE)
target_include_directories(gbe_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(gbe_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wnull-dereference -Wformat=2 -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports false positives of this one in inlined library code at -O2 and with sanitizers.
  target_compile_options(gbe_options INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized)
endif()

if(GBE_SANITIZE)
  add_compile_options(-fsanitize=${GBE_SANITIZE} -fno-omit-frame-pointer)
  if(GBE_SANITIZE MATCHES "undefined")
    # Null pointers end in AddressSanitizer's report anyway, and the fuzzers look for both: together
    # they are a quarter of what a build costs.
    add_compile_options(-fno-sanitize-recover=undefined -fno-sanitize=null,alignment)
  endif()
  add_link_options(-fsanitize=${GBE_SANITIZE})
endif()

# gbe_library(NAME goenv SOURCES a.cpp … PUBLIC deps… PRIVATE deps…)
#   One static library `gbe_<NAME>` for a folder, with the tree's warnings.
function(gbe_library)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(gbe_${ARG_NAME} STATIC ${ARG_SOURCES})
  target_link_libraries(gbe_${ARG_NAME} PUBLIC gbe_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()
