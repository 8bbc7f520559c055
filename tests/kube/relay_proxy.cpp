#include "tests/kube/relay_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "agent/unique_fd.hpp"

namespace gobuildenv::kube::testing {
namespace {

constexpr int kLook = 20;  // milliseconds between two looks at the stop flag

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

RelayProxy::RelayProxy(std::uint16_t target, std::string answer)
    : target_(target),
      answer_(std::move(answer)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(listener_, 16);
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { accept_loop(); });
}

RelayProxy::~RelayProxy() {
  stopping_ = true;
  acceptor_ = {};
  relays_.clear();
  ::close(listener_);
}

std::vector<std::string> RelayProxy::heads() const {
  const std::lock_guard lock(mutex_);
  return heads_;
}

void RelayProxy::accept_loop() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, kLook) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) relays_.emplace_back([this, client] { relay(client); });
  }
}

void RelayProxy::relay(int accepted) {
  const agent::UniqueFd client(accepted);
  std::string head;
  char byte = 0;
  while (!head.ends_with("\r\n\r\n")) {
    if (::read(client.get(), &byte, 1) != 1) return;
    head += byte;
  }
  {
    const std::lock_guard lock(mutex_);
    heads_.push_back(head);
  }
  const agent::UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(target_);
  if (::connect(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
  if (::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL) < 0) return;
  std::array<char, 16384> buffer{};
  while (!stopping_) {
    std::array<pollfd, 2> ends{{{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}}};
    if (::poll(ends.data(), ends.size(), kLook) <= 0) continue;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t got = ::read(ends[i].fd, buffer.data(), buffer.size());
      if (got <= 0) return;
      if (::send(ends[1 - i].fd, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) < 0) {
        return;
      }
    }
  }
}

}  // namespace gobuildenv::kube::testing
