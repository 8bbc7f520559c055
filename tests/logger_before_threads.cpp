#include <spdlog/spdlog.h>

/// Makes the logger while a test program has one thread. libspdlog is not instrumented, so
/// ThreadSanitizer does not see the guard of its registry: two threads that log first of all would
/// be reported as a race.
namespace {

[[maybe_unused]] const auto logger = spdlog::default_logger();

}  // namespace
