#include "controllers/gobuildenv/packed_text.hpp"

#include <algorithm>

namespace gobuildenv::controllers {

std::string PackedText::text() const {
  if (!base_) return {};
  std::string out;
  out.reserve(prefix_ + middle_.size() + suffix_);
  out.append(*base_, 0, prefix_);
  out.append(middle_);
  out.append(*base_, base_->size() - suffix_, suffix_);
  return out;
}

PackedText TextPacker::pack(std::string_view text) {
  PackedText out;
  std::size_t prefix = 0;
  std::size_t suffix = 0;
  const std::scoped_lock lock(mutex_);
  for (const auto& base : bases_) {
    const std::size_t shorter = std::min(base->size(), text.size());
    const auto front = static_cast<std::size_t>(
        std::mismatch(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(shorter),
                      base->begin())
            .first -
        text.begin());
    const std::size_t left = shorter - front;
    const auto back = static_cast<std::size_t>(
        std::mismatch(text.rbegin(), text.rbegin() + static_cast<std::ptrdiff_t>(left),
                      base->rbegin())
            .first -
        text.rbegin());
    if (!out.base_ || front + back > prefix + suffix) {
      out.base_ = base;
      prefix = front;
      suffix = back;
    }
  }
  if (!out.base_ || (prefix + suffix) * 2 < text.size()) {
    // Unlike all that is known: a base for those to come.
    out.base_ = std::make_shared<const std::string>(text);
    prefix = text.size();
    suffix = 0;
    if (bases_.size() < max_bases_) {
      bases_.push_back(out.base_);
    } else {
      bases_[next_] = out.base_;
      next_ = (next_ + 1) % max_bases_;
    }
  }
  out.prefix_ = static_cast<std::uint32_t>(prefix);
  out.suffix_ = static_cast<std::uint32_t>(suffix);
  out.middle_ = text.substr(prefix, text.size() - prefix - suffix);
  out.middle_.shrink_to_fit();
  return out;
}

}  // namespace gobuildenv::controllers
