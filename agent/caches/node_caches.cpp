#include "agent/caches/node_caches.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "agent/caches/decide.hpp"
#include "agent/caches/files.hpp"
#include "agent/caches/layer_room.hpp"
#include "agent/collector/trash.hpp"
#include "agent/collector/trash_emptier.hpp"
#include "agent/durable_file.hpp"

namespace gobuildenv::agent {
namespace {

using collector::Trash;
using Kind = PromotionResult::Kind;

constexpr const char* kQueue = "promotions";
constexpr const char* kRecord = "record.json";
constexpr const char* kWorkplace = "layer";
constexpr std::size_t kMaxRecord = std::size_t{64} << 10U;

tl::unexpected<std::string> fail(std::string_view doing, std::string_view path,
                                 std::error_code code) {
  return tl::unexpected(fmt::format("cannot {} {}: {}", doing, path, code.message()));
}

tl::expected<VolumeRecord, std::string> record_of(const Fd& queue, const std::string& volume_id) {
  const auto text = collector::read_at(queue.get(), volume_id + "/" + kRecord, kMaxRecord);
  if (!text) return tl::unexpected(text.error().message());
  return decode_volume_record(*text);
}

std::error_code discard(const Fd& root, const Fd& folder, const std::string& name) {
  const auto trash = Trash::open(root);
  if (!trash) return trash.error();
  const auto error = trash->take(folder.get(), name);
  return error == std::errc::no_such_file_or_directory ? std::error_code() : error;
}

}  // namespace

NodeCaches::NodeCaches(NodeCachesOptions options, CacheLookups lookups, kube::Clock& clock,
                       Done done, Fd root, Fd queue)
    : options_(std::move(options)),
      lookups_(std::move(lookups)),
      clock_(clock),
      done_(std::move(done)),
      root_(std::move(root)),
      queue_(std::move(queue)) {}

NodeCaches::~NodeCaches() { stop(); }

tl::expected<std::unique_ptr<NodeCaches>, std::string> NodeCaches::open(NodeCachesOptions options,
                                                                        CacheLookups lookups,
                                                                        kube::Clock& clock,
                                                                        Done done) {
  auto root = collector::open_trusted_folder(options.root);
  if (!root) return fail("open", options.root, root.error());
  auto queue = make_below(*root, kQueue, 0700);
  if (!queue) return fail("make", kQueue, queue.error());
  const auto names = names_in(*queue, true);
  if (!names) return fail("read", kQueue, names.error());
  for (const std::string& name : *names) {
    const auto waiting = collector::open_folder(queue->get(), name);
    if (!waiting) return fail("open", name, waiting.error());
    const auto error = discard(*root, *waiting, kWorkplace);
    // Read-only: layers can still be read, and none is made.
    if (error && error != std::errc::read_only_file_system) return fail("clean", name, error);
  }
  return std::unique_ptr<NodeCaches>(new NodeCaches(std::move(options), std::move(lookups), clock,
                                                    std::move(done), std::move(*root),
                                                    std::move(*queue)));
}

void NodeCaches::start() {
  worker_ = std::thread([this] { run(); });
}

void NodeCaches::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
}

void NodeCaches::run() {
  collector::become_idle();
  while (!stopping_) {
    {
      const std::lock_guard lock(mutex_);
      more_ = false;
    }
    const std::size_t left = promote_pending();
    std::unique_lock lock(mutex_);
    const auto until = left == 0 ? kube::Clock::TimePoint::max() : clock_.now() + options_.retry;
    while (!more_ && !stopping_ && clock_.now() < until) {
      if (left == 0) {
        changed_.wait(lock);
      } else {
        clock_.wait_until(lock, changed_, until);
      }
    }
  }
}

CacheAnswer NodeCaches::cache_of(const VolumeSpec& spec) {
  auto declared = lookups_.declared(spec.pod.ns, spec.environment);
  if (!declared) return {CacheAnswer::Kind::Unknown, {}, std::move(declared.error())};
  CacheFacts facts{spec, std::move(*declared), {}};
  CacheAnswer answer = decide_cache(facts);
  if (answer.kind != CacheAnswer::Kind::Unknown) return answer;
  facts.namespace_uid = lookups_.namespace_uid(spec.pod.ns);
  return decide_cache(facts);
}

std::string NodeCaches::newest(const std::string& cache) { return newest_layer(root_, cache); }

bool NodeCaches::wants(const VolumeRecord& record) {
  if (pending().size() >= options_.max_pending) return false;
  const auto declared = lookups_.declared(record.pod.ns, record.environment);
  // What is not known yet is decided when it is.
  return !declared || why_not_promote(record, *declared).empty();
}

tl::expected<void, std::string> NodeCaches::hand_over(const VolumeRecord& record) {
  const std::string& id = record.volume_id;
  const auto parts = collector::open_folder(root_.get(), "pods/" + id);
  if (!parts) {
    if (parts.error() == std::errc::no_such_file_or_directory) return {};
    return fail("open", "pods/" + id, parts.error());
  }
  // Replaces what a kill or a full disk left of an earlier try.
  const std::string path = fmt::format("{}/pods/{}/{}", options_.root, id, kRecord);
  if (const auto error = write_durably(path, encode(record), options_.hook)) {
    return fail("write", kRecord, error);
  }
  if (::renameat(root_.get(), ("pods/" + id).c_str(), queue_.get(), id.c_str()) != 0) {
    return fail("take over", "pods/" + id, collector::last_error());
  }
  step(options_.hook, "given");
  {
    const std::lock_guard lock(mutex_);
    more_ = true;
  }
  changed_.notify_all();
  return {};
}

std::vector<std::string> NodeCaches::pending() const {
  auto names = names_in(queue_, true);
  return names ? std::move(*names) : std::vector<std::string>();
}

std::map<std::string, std::vector<std::string>> NodeCaches::by_cache() const {
  std::map<std::string, std::vector<std::string>> out;
  for (std::string& id : pending()) {
    const auto record = record_of(queue_, id);
    out[record ? record->cache : std::string()].push_back(std::move(id));
  }
  return out;
}

std::size_t NodeCaches::promote_pending() {
  std::size_t left = 0;
  for (const auto& [cache, ids] : by_cache()) {
    if (stopping_) return left;
    std::vector<Waiting> waiting;
    for (const std::string& id : ids) {
      if (auto one = take_up(id, left)) waiting.push_back(std::move(*one));
    }
    left += settle(std::move(waiting));
  }
  // A layer's names are many; an idle agent is to be small again.
  ::malloc_trim(0);
  return left;
}

std::optional<NodeCaches::Waiting> NodeCaches::take_up(const std::string& volume_id,
                                                       std::size_t& left) {
  auto folder = collector::hold_folder(queue_.get(), volume_id);
  if (!folder) {
    if (folder.error() != std::errc::no_such_file_or_directory) ++left;
    return std::nullopt;
  }
  Waiting out{volume_id, std::move(*folder), {}, 0, false};
  PromotionResult& result = out.result;
  result.kind = Kind::NotTrusted;
  auto record = record_of(queue_, volume_id);
  if (!record) {
    result.kind = Kind::Failed;
    result.record.volume_id = volume_id;
    result.why = std::move(record.error());
    return out;
  }
  result.record = std::move(*record);
  const PodIdentity& pod = result.record.pod;
  const auto declared = lookups_.declared(pod.ns, result.record.environment);
  const std::string uid = declared ? lookups_.namespace_uid(pod.ns) : std::string();
  if (declared) result.why = why_not_promote(result.record, *declared);
  if (!declared || (result.why.empty() && uid.empty())) {
    ++left;
    return std::nullopt;
  }
  if (!result.why.empty()) return out;
  if (uid != namespace_uid_of(result.record.cache)) {
    result.why = fmt::format("namespace {} is another one by now", pod.ns);
    return out;
  }
  if (result.record.boot_id != options_.boot_id) {
    // A volatile overlay syncs nothing, and a .mod without a zip has nothing to check it against.
    result.kind = Kind::Failed;
    result.why = "the node went down since the pod wrote it, which may have cost some of it";
    return out;
  }
  const goenv::Cache& cache = **declared;
  out.max_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(cache.max_size_bytes, 0));
  out.shares_both = cache.modules == cache.build;
  return out;
}

std::size_t NodeCaches::settle(std::vector<Waiting> waiting) {
  const auto trusted_begin = std::stable_partition(
      waiting.begin(), waiting.end(), [](const Waiting& one) { return !one.result.why.empty(); });
  for (auto one = waiting.begin(); one != trusted_begin; ++one) finish(*one);
  std::span<Waiting> trusted(trusted_begin, waiting.end());
  while (!trusted.empty()) {
    std::span<Waiting> now = trusted;
    auto made = make_layer(now);
    if (stopping_ && !made) return trusted.size();
    if (!made && now.size() > 1) {
      // What is wrong with one of them, or with the disk, is not to cost the others' work.
      static_cast<void>(discard(root_, now.front().folder, kWorkplace));
      now = now.first(1);
      made = make_layer(now);
      if (stopping_ && !made) return trusted.size();
    }
    for (Waiting& one : now) {
      PromotionResult& result = one.result;
      result.kind = !made ? Kind::Failed : made->layer.empty() ? Kind::NothingNew : Kind::Published;
      if (!made) {
        result.why = made.error();
      } else if (&one == &now.front()) {
        result.promotion = *made;
      } else {
        result.promotion.layer = made->layer;
        result.along_with = now.front().id;
      }
    }
    for (const Waiting& one : now) finish(one);
    trusted = trusted.subspan(now.size());
  }
  return 0;
}

tl::expected<Promotion, std::string> NodeCaches::make_layer(std::span<const Waiting> trusted) {
  const VolumeRecord& first = trusted.front().result.record;
  std::vector<Fd> uppers;
  std::uint64_t max_bytes = 0;
  bool shares_both = false;
  for (const Waiting& one : trusted) {
    auto upper = collector::open_folder(one.folder.get(), "upper");
    if (!upper) return fail("open", one.id + "/upper", upper.error());
    uppers.push_back(std::move(*upper));
    // Environments that share their namespace's cache: as much as the most generous one says.
    max_bytes = std::max(max_bytes, one.max_bytes);
    shares_both |= one.shares_both;
  }
  std::shared_ptr<void> lease;
  if (options_.lease) lease = options_.lease(first.cache, "a layer is being made of it");
  PromotionInput in{root_, first.cache, first.kind, uppers, {}, {}, {}, options_.hook};
  in.workplace = fmt::format("{}/{}/{}", kQueue, trusted.front().id, kWorkplace);
  in.limits.bytes = layer_room(max_bytes, sibling_bytes(root_, first.cache), shares_both);
  in.stopped = [this] { return stopping_.load(); };
  auto promotion = promote(in);
  if (!promotion) return tl::unexpected(std::move(promotion.error().message));
  return std::move(*promotion);
}

void NodeCaches::finish(const Waiting& one) {
  drop(one.id);
  step(options_.hook, "dropped");
  done_(one.result);
}

void NodeCaches::drop(const std::string& volume_id) {
  // Seldom: what stays is looked at again after the next start.
  static_cast<void>(discard(root_, queue_, volume_id));
}

}  // namespace gobuildenv::agent
