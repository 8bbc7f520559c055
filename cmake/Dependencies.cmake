# Debian 12 packages. Every third-party header is a system include, so that our warnings stay ours.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(simdjson REQUIRED)
find_package(cpprestsdk REQUIRED)
# libcpprest is built with Boost 1.74; newer headers beside it crash at run time.
find_package(Boost 1.74 EXACT REQUIRED COMPONENTS system)
find_package(prometheus-cpp REQUIRED COMPONENTS core)

add_library(gbe_expected INTERFACE)  # tl::expected is header-only, in the default include path

add_library(gbe_beast INTERFACE)
target_link_libraries(gbe_beast INTERFACE Boost::system OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
target_compile_definitions(gbe_beast INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_USE_STD_STRING_VIEW)
if(GBE_SANITIZE MATCHES "thread")
  # ThreadSanitizer knows no fences, and GCC refuses them under it; Asio's locks are enough.
  target_compile_definitions(gbe_beast INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()

add_library(gbe_cpprest INTERFACE)
target_link_libraries(gbe_cpprest INTERFACE cpprestsdk::cpprest OpenSSL::SSL)
# cpprest's U() macro breaks fmt.
target_compile_definitions(gbe_cpprest INTERFACE _TURN_OFF_PLATFORM_STRING)
