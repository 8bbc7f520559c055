#include "agent/sumdb/head_store.hpp"

#include <fmt/format.h>

#include <utility>

#include "agent/durable_file.hpp"
#include "kube/files.hpp"

namespace gobuildenv::agent::sumdb {

HeadStore::HeadStore(std::string path, VerifierKey key, StepHook hook)
    : path_(std::move(path)), key_(std::move(key)), hook_(std::move(hook)) {}

tl::expected<std::unique_ptr<HeadStore>, Error> HeadStore::open(std::string path, VerifierKey key,
                                                                StepHook hook) {
  std::unique_ptr<HeadStore> store(new HeadStore(std::move(path), std::move(key), std::move(hook)));
  const auto note = kube::read_small_file(store->path_);
  if (!note && note.error() == std::errc::no_such_file_or_directory) return store;
  if (!note) {
    return tl::unexpected(Error{
        Error::Kind::Disk, fmt::format("cannot read {}: {}", store->path_, note.error().message()),
        note.error()});
  }
  auto head = open_signed_head(*note, store->key_);
  if (!head) {
    return tl::unexpected(
        Error{Error::Kind::Disk,
              fmt::format("{} is not a tree head signed by {} ({}): somebody changed it; remove it "
                          "to start over without the memory of what the database said before",
                          store->path_, store->key_.name, head.error().message)});
  }
  store->current_ = std::make_shared<const SignedHead>(*std::move(head));
  return store;
}

std::shared_ptr<const SignedHead> HeadStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

tl::expected<bool, Error> HeadStore::advance(const std::shared_ptr<const SignedHead>& seen,
                                             SignedHead head) {
  const std::lock_guard lock(mutex_);
  if (current_ != seen) return false;
  if (current_ && head.head.size <= current_->head.size) return true;
  if (const auto failed = write_durably(path_, head.note, hook_)) {
    return tl::unexpected(Error{
        Error::Kind::Disk, fmt::format("cannot write {}: {}", path_, failed.message()), failed});
  }
  current_ = std::make_shared<const SignedHead>(std::move(head));
  return true;
}

}  // namespace gobuildenv::agent::sumdb
