#include "kube/resolver.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <list>
#include <mutex>

namespace gobuildenv::kube {
namespace {

using Clock = std::chrono::steady_clock;

/// One lookup of glibc's resolver threads; it must stay where it is until they are done with it.
struct Lookup {
  std::string host;
  std::string service;
  addrinfo hints{};
  gaicb request{};
};

/// Lookups given up at their deadline which glibc still works on; freed by a later lookup.
class Abandoned {
 public:
  void add(std::unique_ptr<Lookup> lookup) {
    const std::lock_guard lock(mutex_);
    lookups_.push_back(std::move(lookup));
  }
  void reap() {
    const std::lock_guard lock(mutex_);
    lookups_.remove_if([](const std::unique_ptr<Lookup>& lookup) {
      if (gai_error(&lookup->request) == EAI_INPROGRESS) {
        return false;
      }
      AddressesFree{}(lookup->request.ar_result);
      return true;
    });
  }

 private:
  std::mutex mutex_;
  std::list<std::unique_ptr<Lookup>> lookups_;
};

Abandoned& abandoned() {
  static auto* const kept = new Abandoned;  // outlives the resolver's threads
  return *kept;
}

TransportError failed(const std::string& host, int code) {
  return {TransportError::Kind::Connect,
          fmt::format("cannot resolve host={}: {}", host, gai_strerror(code))};
}

}  // namespace

void AddressesFree::operator()(addrinfo* list) const {
  if (list != nullptr) {
    freeaddrinfo(list);
  }
}

tl::expected<Addresses, TransportError> resolve(const std::string& host, std::uint16_t port,
                                                Deadline deadline) {
  auto lookup = std::make_unique<Lookup>();
  lookup->host = host;
  lookup->service = std::to_string(port);
  lookup->hints.ai_socktype = SOCK_STREAM;
  lookup->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* numeric = nullptr;
  if (getaddrinfo(host.c_str(), lookup->service.c_str(), &lookup->hints, &numeric) == 0) {
    return Addresses(numeric);
  }
  abandoned().reap();
  lookup->hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
  lookup->request.ar_name = lookup->host.c_str();
  lookup->request.ar_service = lookup->service.c_str();
  lookup->request.ar_request = &lookup->hints;
  gaicb* list[] = {&lookup->request};
  if (const int code = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr); code != 0) {
    return tl::unexpected(failed(host, code));
  }
  while (gai_error(&lookup->request) == EAI_INPROGRESS) {
    const auto left =
        std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      gai_cancel(&lookup->request);
      abandoned().add(std::move(lookup));
      return tl::unexpected(TransportError{TransportError::Kind::Timeout,
                                           fmt::format("resolving host={} took too long", host)});
    }
    const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
    const gaicb* waited[] = {&lookup->request};
    gai_suspend(waited, 1, &timeout);
  }
  if (const int code = gai_error(&lookup->request); code != 0) {
    return tl::unexpected(failed(host, code));
  }
  return Addresses(lookup->request.ar_result);
}

}  // namespace gobuildenv::kube
