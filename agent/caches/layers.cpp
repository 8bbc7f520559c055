#include "agent/caches/layers.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>  // NOLINT(modernize-deprecated-headers): renameat2() is Linux's
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <optional>

#include "agent/caches/files.hpp"
#include "agent/caches/take_builds.hpp"
#include "agent/caches/take_modules.hpp"
#include "agent/collector/trash.hpp"

namespace gobuildenv::agent {
namespace {

constexpr unsigned kOwnFolder = 0755;

std::optional<std::uint64_t> number_of(std::string_view name) {
  if (name.empty() || name.front() == '0' || name.size() > 18) return std::nullopt;
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), out);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return out;
}

/// 0: there is none.
std::uint64_t newest_number(const Fd& root, const std::string& cache) {
  std::uint64_t newest = 0;
  const auto lower = collector::open_folder(root.get(), cache + "/lower");
  if (!lower) return 0;
  if (const auto names = names_in(*lower, true)) {
    for (const std::string& name : *names) newest = std::max(newest, number_of(name).value_or(0));
  }
  return newest;
}

std::string layer_path(const std::string& cache, std::uint64_t number) {
  return fmt::format("{}/lower/{}", cache, number);
}

tl::unexpected<TakeError> fail(std::string_view doing, const std::string& path) {
  return take_error(doing, path, collector::last_error());
}

}  // namespace

std::string newest_layer(const Fd& root, const std::string& cache) {
  const std::uint64_t number = newest_number(root, cache);
  return number == 0 ? std::string() : layer_path(cache, number);
}

tl::expected<Promotion, TakeError> promote(const PromotionInput& in) {
  const std::uint64_t number = newest_number(in.root, in.cache);
  std::optional<Fd> base;
  if (number != 0) {
    auto opened = collector::open_folder(in.root.get(), layer_path(in.cache, number));
    if (!opened) return take_error("open", layer_path(in.cache, number), opened.error());
    base = std::move(*opened);
  }
  const auto workplace = make_below(in.root, in.workplace, kOwnFolder);
  if (!workplace) return take_error("make", in.workplace, workplace.error());
  const auto next = make_below(*workplace, "next", kSharedFolder);
  if (!next) return take_error("make", in.workplace, next.error());
  const auto scratch = make_below(*workplace, "scratch", kOwnFolder);
  if (!scratch) return take_error("make", in.workplace, scratch.error());

  const TakeInput take{
      base ? &*base : nullptr, in.uppers, *next, *scratch, in.limits, in.stopped, in.hook};
  auto report = in.kind == VolumeKind::Build ? take_builds(take) : take_modules(take);
  if (!report) return tl::unexpected(std::move(report.error()));
  Promotion out{{}, std::move(*report)};
  step(in.hook, "made");
  if (out.report.taken == 0) return out;
  if (base && !collector::exists_at(in.root.get(), layer_path(in.cache, number))) {
    // What was linked of it after it went into the trash is some of it only.
    return take_error("keep", layer_path(in.cache, number),
                      std::make_error_code(std::errc::no_such_file_or_directory));
  }

  // One sync for thousands of files; fsync() of each would wait for the disk as often.
  if (::syncfs(next->get()) != 0) return fail("sync", in.workplace);
  step(in.hook, "synced");
  const auto lower = make_below(in.root, in.cache + "/lower", kOwnFolder);
  if (!lower) return take_error("make", in.cache, lower.error());
  const std::string name = fmt::format("{}", number + 1);
  if (::renameat2(workplace->get(), "next", lower->get(), name.c_str(), RENAME_NOREPLACE) != 0) {
    return fail("publish", layer_path(in.cache, number + 1));
  }
  step(in.hook, "published");
  if (::fsync(lower->get()) != 0) return fail("sync", in.cache + "/lower");
  step(in.hook, "named");
  out.layer = layer_path(in.cache, number + 1);
  return out;
}

}  // namespace gobuildenv::agent
