#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "support.hpp"
#include "webhooks/certificates/rotation.hpp"
#include "webhooks/handlers.hpp"

/// Serves the pod webhook with one environment in memory, to be loaded from outside (wrk) while its
/// CPU time is watched. Prints "PORT PID", ends on SIGTERM or SIGINT, prints its CPU seconds.
///   webhooks_load_target [ENVIRONMENT [NAMESPACE]]
int main(int argc, char** argv) {
  using namespace gobuildenv::webhooks;
  const std::string name = argc > 1 ? argv[1] : "go122-nocgo";
  const std::string ns = argc > 2 ? argv[2] : "ci";
  testing::FakeLookup lookup;
  lookup.serve(name, testing::full_plan());
  lookup.environments[ns + "/" + name] = lookup.environments["ci/" + name];

  certificates::RotationOptions names;
  names.dns_names = {"localhost"};
  names.ip_addresses = {"127.0.0.1"};
  const auto stored = certificates::advance(certificates::Step::CreateAll, std::nullopt,
                                            std::chrono::system_clock::now(), names);
  if (!stored) return 1;

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  server::Options options;
  options.address = "127.0.0.1";
  options.port = 0;
  server::Routes routes;
  routes[std::string(kMutatePodsPath)] = make_pod_handler(lookup, {}, {});
  server::Server server(options, std::move(routes), nullptr);
  if (const auto started = server.start(stored->leaf); !started) {
    std::fprintf(stderr, "%s\n", started.error().c_str());
    return 1;
  }
  std::printf("%d %d\n", server.port(), getpid());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  server.stop(std::chrono::seconds(1));
  std::printf("%.3f\n", static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  return 0;
}
