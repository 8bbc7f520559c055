/// What gRPC sets up when it starts, for a process that serves and never calls: gRPC asks for it by
/// this one function, and an executable that has its own does not link the library's. Without it go
/// the balancing policies, proxies and connecting handshakers of clients, a megabyte.
/// See docs/decisions/0012-agent-memory.md.
///
/// The declarations are gRPC 1.51's, which no public header has. A name that a later release has no
/// more fails the link; what a server needs in addition shows in e2e/scenarios/test_node_agent.py.

namespace grpc_core {

class CoreConfiguration {
 public:
  class Builder;
};
using Builder = CoreConfiguration::Builder;

void RegisterBuiltins(Builder* builder);
void RegisterDeadlineFilter(Builder* builder);
void RegisterHttpFilters(Builder* builder);
void RegisterMessageSizeFilter(Builder* builder);
void RegisterResourceQuota(Builder* builder);
void RegisterSecurityFilters(Builder* builder);
void SecurityRegisterHandshakerFactories(Builder* builder);
void BuildCoreConfiguration(Builder* builder);

}  // namespace grpc_core

namespace grpc_event_engine::experimental {
void RegisterEventEngineChannelArgPreconditioning(grpc_core::CoreConfiguration::Builder* builder);
}  // namespace grpc_event_engine::experimental

/// In the library's order, from which filters have their places.
void grpc_core::BuildCoreConfiguration(Builder* builder) {
  grpc_event_engine::experimental::RegisterEventEngineChannelArgPreconditioning(builder);
  SecurityRegisterHandshakerFactories(builder);
  RegisterHttpFilters(builder);
  RegisterDeadlineFilter(builder);
  RegisterMessageSizeFilter(builder);
  RegisterResourceQuota(builder);
  RegisterBuiltins(builder);
  RegisterSecurityFilters(builder);
}
