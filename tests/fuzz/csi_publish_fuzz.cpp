// The attributes of an inline volume are whatever the pod's author writes. Whatever they are:
// what is taken has a plain path, a version and names of ours to make files and folders of, and
// what is refused is told in a short, printable sentence.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/csi/mount_table.hpp"
#include "agent/csi/volume_record.hpp"
#include "agent/csi/volume_spec.hpp"

namespace {

using namespace gobuildenv;  // NOLINT(google-build-using-namespace)

constexpr std::string_view kPods = "/var/lib/kubelet/pods";

void require(bool condition) {
  if (!condition) std::abort();
}

std::string_view take_line(std::string_view& rest) {
  const auto newline = rest.find('\n');
  const std::string_view line = rest.substr(0, newline);
  rest.remove_prefix(newline == std::string_view::npos ? rest.size() : newline + 1);
  return line;
}

void check_spec(const agent::VolumeSpec& spec) {
  require(agent::is_volume_id(spec.volume_id));
  require(agent::is_plain_relative(spec.target));
  require(spec.target.starts_with(spec.pod.uid + "/"));
  require(spec.environment.find('/') == std::string::npos && !spec.environment.empty());
  require(spec.kind != agent::VolumeKind::Toolchain || spec.toolchain);
  agent::VolumeRecord record;
  record.volume_id = spec.volume_id;
  record.kind = spec.kind;
  record.pod = spec.pod;
  record.environment = spec.environment;
  record.revision = spec.revision;
  record.target = spec.target;
  record.source = "pods/" + spec.volume_id + "/upper";
  const auto back = agent::decode_volume_record(agent::encode(record));
  require(back && *back == record);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);  // NOLINT
  static_cast<void>(agent::decode_volume_record(rest));
  for (const auto& one :
       agent::mounted_volumes(agent::parse_mountinfo(rest), "/var/lib/gobuildenv", kPods)) {
    require(agent::is_plain_relative(one.target));
  }
  // id, target, group, then KEY=VALUE lines
  agent::PublishCall call;
  call.volume_id = take_line(rest);
  call.target_path = take_line(rest);
  call.mount_group = take_line(rest);
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    call.attributes[std::string(line.substr(0, equals))] = line.substr(equals + 1);
  }
  if (const auto spec = agent::parse_publish(call, kPods)) {
    check_spec(*spec);
  } else {
    require(!spec.error().empty() && spec.error().size() < 700);
    for (const char c : spec.error()) require(static_cast<unsigned char>(c) >= 0x20);
  }
  return 0;
}
