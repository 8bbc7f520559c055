# gRPC and protobuf's small runtime, linked statically: as shared libraries they would double the
# memory of a process that does nothing else. Only plain sockets are served, so no TLS of gRPC's own.
find_package(PkgConfig REQUIRED)
# The package without TLS names too few of its own needs.
pkg_check_modules(GBE_GRPC REQUIRED grpc++)
find_program(GBE_PROTOC protoc REQUIRED)
find_program(GBE_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

add_library(gbe_grpc INTERFACE)
target_compile_definitions(gbe_grpc INTERFACE GRPC_USE_PROTO_LITE)
set(GBE_GRPC_LINK -Wl,--start-group -l:libprotobuf-lite.a)
foreach(library IN LISTS GBE_GRPC_STATIC_LIBRARIES)
  string(REGEX REPLACE "^(grpc\\+\\+|grpc)$" "\\1_unsecure" library "${library}")
  if(library MATCHES "^(grpc|gpr|address_sorting|upb|re2|cares|absl)")
    list(APPEND GBE_GRPC_LINK "-l:lib${library}.a")
  endif()
endforeach()
list(REMOVE_DUPLICATES GBE_GRPC_LINK)
target_link_libraries(gbe_grpc INTERFACE ${GBE_GRPC_LINK} -Wl,--end-group z atomic rt dl
  Threads::Threads)
