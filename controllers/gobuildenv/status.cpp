#include "controllers/gobuildenv/status.hpp"

#include <algorithm>
#include <array>

namespace gobuildenv::controllers {
namespace {

static_assert(static_cast<int>(crds::ConditionStatus::True) == 1 &&
              static_cast<int>(crds::ConditionStatus::False) == 2);

void put(std::string& out, std::int64_t number) {
  auto rest = static_cast<std::uint64_t>(number);
  while (rest >= 0x80) {
    out.push_back(static_cast<char>(rest | 0x80U));
    rest >>= 7U;
  }
  out.push_back(static_cast<char>(rest));
}

/// Texts that nearly every status has, packed as their place in this list. Only ever read by the
/// process that wrote them, so the list may change.
constexpr std::array<std::string_view, 8> kCommon{crds::kReady,       crds::kToolchainResolved,
                                                  crds::kReconciling, crds::kStalled,
                                                  "Served",           "Exact",
                                                  "Resolved",         "1"};

/// A length and the bytes, or the place of a common text: told apart by the lowest bit.
void put(std::string& out, std::string_view text) {
  const auto common = std::find(kCommon.begin(), kCommon.end(), text);
  if (common != kCommon.end()) {
    put(out, static_cast<std::int64_t>(common - kCommon.begin()) * 2 + 1);
    return;
  }
  put(out, static_cast<std::int64_t>(text.size()) * 2);
  out.append(text);
}

void put_count(std::string& out, std::size_t count) { put(out, static_cast<std::int64_t>(count)); }

/// 0 is "no time": metav1.Time has no use for 1970.
void put_time(std::string& out, std::string_view text) { put(out, parse_time(text)); }

/// Reads what put() wrote; `ok` turns false at the first thing that does not fit.
class Unpacker {
 public:
  explicit Unpacker(std::string_view text) : rest_(text) {}

  std::int64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) return static_cast<std::int64_t>(value);
    }
    ok_ = false;
    return 0;
  }

  std::string text() {
    const auto head = static_cast<std::uint64_t>(number());
    const std::uint64_t size = head / 2;
    if (head % 2 == 1 && size < kCommon.size()) return std::string(kCommon[size]);
    if (head % 2 == 1 || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return out;
  }

  std::string time() {
    const std::int64_t seconds = number();
    return seconds == 0 ? std::string() : format_time(seconds);
  }

  /// Number of elements that follow; each takes at least one byte.
  std::size_t count() {
    const auto size = static_cast<std::uint64_t>(number());
    if (size > rest_.size()) {
      ok_ = false;
      return 0;
    }
    return size;
  }

  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::string pack_status(const crds::Status& status) {
  std::string out;
  put(out, status.observed_generation);
  put_count(out, status.conditions.size());
  for (const crds::Condition& condition : status.conditions) {
    put(out, condition.type);
    put(out, static_cast<std::int64_t>(condition.status));
    put(out, condition.observed_generation);
    put_time(out, condition.last_transition_time);
    put(out, condition.reason);
    put(out, condition.message);
  }
  put(out, status.current);
  put(out, status.updated);
  put_count(out, status.history.size());
  for (const crds::RevisionRecord& entry : status.history) {
    put(out, entry.name);
    put(out, entry.generation);
    put(out, entry.toolchain);
    put(out, entry.renderer_version);
    put_time(out, entry.superseded_at);
    put(out, entry.uid);
  }
  put(out, status.toolchain.requested);
  put(out, status.toolchain.version);
  put(out, status.toolchain.resolve_token);
  put_count(out, status.toolchain.sums.size());
  for (const goenv::ToolchainSum& sum : status.toolchain.sums) {
    put(out, sum.os);
    put(out, sum.arch);
    put(out, sum.sum);
  }
  put(out, status.nodes_ready);
  put(out, status.nodes_desired);
  put(out, status.pods_injected);
  put(out, status.pods_missed);
  out.shrink_to_fit();
  return out;
}

crds::Status unpack_status(std::string_view packed) {
  Unpacker in(packed);
  crds::Status status;
  status.observed_generation = in.number();
  for (std::size_t left = in.count(); left > 0 && in.ok(); --left) {
    crds::Condition& condition = status.conditions.emplace_back();
    condition.type = in.text();
    const std::int64_t truth = in.number();
    condition.status = truth == 1   ? crds::ConditionStatus::True
                       : truth == 2 ? crds::ConditionStatus::False
                                    : crds::ConditionStatus::Unknown;
    condition.observed_generation = in.number();
    condition.last_transition_time = in.time();
    condition.reason = in.text();
    condition.message = in.text();
  }
  status.current = in.text();
  status.updated = in.text();
  for (std::size_t left = in.count(); left > 0 && in.ok(); --left) {
    crds::RevisionRecord& entry = status.history.emplace_back();
    entry.name = in.text();
    entry.generation = in.number();
    entry.toolchain = in.text();
    entry.renderer_version = in.text();
    entry.superseded_at = in.time();
    entry.uid = in.text();
  }
  status.toolchain.requested = in.text();
  status.toolchain.version = in.text();
  status.toolchain.resolve_token = in.text();
  for (std::size_t left = in.count(); left > 0 && in.ok(); --left) {
    goenv::ToolchainSum& sum = status.toolchain.sums.emplace_back();
    sum.os = in.text();
    sum.arch = in.text();
    sum.sum = in.text();
  }
  status.nodes_ready = static_cast<std::int32_t>(in.number());
  status.nodes_desired = static_cast<std::int32_t>(in.number());
  status.pods_injected = static_cast<std::int32_t>(in.number());
  status.pods_missed = static_cast<std::int32_t>(in.number());
  return in.ok() ? status : crds::Status{};
}

}  // namespace gobuildenv::controllers
