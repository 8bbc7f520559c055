#include "kube/resolver.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "kube/cancel_signal.hpp"

namespace gobuildenv::kube {
namespace {

/// One call of getaddrinfo() on a thread of its own: the call has no timeout, its caller has.
/// (glibc's getaddrinfo_a does the same with threads that sanitizers cannot see.)
class Lookup {
 public:
  Lookup(std::string host, std::string service)
      : host_(std::move(host)), service_(std::move(service)), thread_([this] { run(); }) {}
  ~Lookup() { thread_.join(); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  Waited wait(Deadline deadline, const CancelSignal* cancel) const {
    return wait_for(finished_, cancel, deadline);
  }
  [[nodiscard]] bool done() const { return finished_.raised(); }
  /// Once done: the code of getaddrinfo(), and the addresses once.
  std::pair<int, Addresses> take() { return {code_, std::move(addresses_)}; }

 private:
  void run() {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int code = getaddrinfo(host_.c_str(), service_.c_str(), &hints, &found);
    code_ = code;
    addresses_.reset(code == 0 ? found : nullptr);
    finished_.raise();
  }

  const std::string host_;
  const std::string service_;
  CancelSignal finished_;  ///< raised once the two below are there
  int code_ = 0;
  Addresses addresses_;
  std::thread thread_;  ///< last: it uses all of the above
};

/// Lookups given up before their end; joined by a later lookup, once they are done.
class Abandoned {
 public:
  void add(std::unique_ptr<Lookup> lookup) {
    const std::lock_guard lock(mutex_);
    lookups_.push_back(std::move(lookup));
  }
  void reap() {
    const std::lock_guard lock(mutex_);
    lookups_.remove_if([](const std::unique_ptr<Lookup>& lookup) { return lookup->done(); });
  }

 private:
  std::mutex mutex_;
  std::list<std::unique_ptr<Lookup>> lookups_;
};

Abandoned& abandoned() {
  // Never destroyed: the end of the process does not wait for a name server.
  static auto* const kept = new Abandoned;
  return *kept;
}

}  // namespace

void AddressesFree::operator()(addrinfo* list) const {
  if (list != nullptr) {
    freeaddrinfo(list);
  }
}

tl::expected<Addresses, TransportError> resolve(const std::string& host, std::uint16_t port,
                                                Deadline deadline, const CancelSignal* cancel) {
  using Kind = TransportError::Kind;
  const std::string service = std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* numeric = nullptr;
  if (getaddrinfo(host.c_str(), service.c_str(), &hints, &numeric) == 0) {
    return Addresses(numeric);
  }
  abandoned().reap();
  std::unique_ptr<Lookup> lookup;
  try {
    lookup = std::make_unique<Lookup>(host, service);
  } catch (const std::system_error& error) {
    return tl::unexpected(TransportError{
        Kind::Connect, fmt::format("cannot resolve host={}: {}", host, error.what())});
  }
  if (const auto waited = lookup->wait(deadline, cancel); waited != Waited::Done) {
    abandoned().add(std::move(lookup));
    if (waited == Waited::Cancelled) {
      return tl::unexpected(TransportError{Kind::Cancelled, "stopped"});
    }
    return tl::unexpected(
        TransportError{Kind::Timeout, fmt::format("resolving host={} took too long", host)});
  }
  auto [code, addresses] = lookup->take();
  if (code != 0) {
    return tl::unexpected(TransportError{
        Kind::Connect, fmt::format("cannot resolve host={}: {}", host, gai_strerror(code))});
  }
  return std::move(addresses);
}

}  // namespace gobuildenv::kube
