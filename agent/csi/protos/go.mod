// Where the agent's gRPC interfaces are defined. Nothing here is compiled by Go: definitions.sh reads
// the versions, and go.sum says what their content must be.
module gobuildenv.dev/agent/csi/protos

go 1.21

require (
	github.com/container-storage-interface/spec v1.9.0
	k8s.io/kubelet v0.34.4
)
