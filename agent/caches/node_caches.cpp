#include "agent/caches/node_caches.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "agent/caches/decide.hpp"
#include "agent/caches/files.hpp"
#include "agent/collector/trash.hpp"
#include "agent/collector/trash_emptier.hpp"

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
    if (const auto error = discard(*root, *waiting, kWorkplace)) {
      return fail("clean", name, error);
    }
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
  const std::string text = encode(record);
  const auto written = write_new(*parts, kRecord, text, 0600);
  if (written && written != std::errc::file_exists) return fail("write", kRecord, written);
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

std::size_t NodeCaches::promote_pending() {
  std::size_t left = 0;
  for (const std::string& id : pending()) {
    if (stopping_) return left;
    if (!promote_one(id)) ++left;
  }
  // A layer's names are many; an idle agent is to be small again.
  ::malloc_trim(0);
  return left;
}

bool NodeCaches::promote_one(const std::string& volume_id) {
  PromotionResult result;
  const auto text = collector::read_at(queue_.get(), volume_id + "/" + kRecord, kMaxRecord);
  auto record = text ? decode_volume_record(*text) : tl::unexpected(text.error().message());
  if (!record) {
    result.kind = Kind::Failed;
    result.record.volume_id = volume_id;
    result.why = record.error();
  } else {
    result.record = *record;
    const auto declared = lookups_.declared(record->pod.ns, record->environment);
    if (!declared) return false;
    const std::string uid = lookups_.namespace_uid(record->pod.ns);
    result.why = why_not_promote(*record, *declared);
    if (result.why.empty() && uid.empty()) return false;
    if (result.why.empty() && uid != namespace_uid_of(record->cache)) {
      result.why = fmt::format("namespace {} is another one by now", record->pod.ns);
    }
    if (result.why.empty()) {
      result = carry_out(*record, **declared);
      if (stopping_ && result.kind == Kind::Failed) return false;
    } else {
      result.kind = Kind::NotTrusted;
    }
  }
  drop(volume_id);
  step(options_.hook, "dropped");
  done_(result);
  return true;
}

PromotionResult NodeCaches::carry_out(const VolumeRecord& record, const goenv::Cache& declared) {
  PromotionResult result;
  result.record = record;
  result.kind = Kind::Failed;
  auto upper = collector::open_folder(queue_.get(), record.volume_id + "/upper");
  if (!upper) {
    result.why = upper.error().message();
    return result;
  }
  std::shared_ptr<void> lease;
  if (options_.lease) lease = options_.lease(record.cache, "a layer is being made of it");
  const std::array<Fd, 1> uppers{std::move(*upper)};
  PromotionInput in{root_, record.cache, record.kind, uppers, {}, {}, {}, options_.hook};
  in.workplace = fmt::format("{}/{}/{}", kQueue, record.volume_id, kWorkplace);
  in.limits.bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(declared.max_size_bytes, 0));
  in.stopped = [this] { return stopping_.load(); };
  auto promotion = promote(in);
  if (!promotion) {
    result.why = std::move(promotion.error().message);
    return result;
  }
  result.kind = promotion->layer.empty() ? Kind::NothingNew : Kind::Published;
  result.promotion = std::move(*promotion);
  return result;
}

void NodeCaches::drop(const std::string& volume_id) {
  // Seldom: what stays is looked at again after the next start.
  static_cast<void>(discard(root_, queue_, volume_id));
}

}  // namespace gobuildenv::agent
