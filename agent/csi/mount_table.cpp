#include "agent/csi/mount_table.hpp"

#include "agent/csi/volume_record.hpp"
#include "agent/csi/volume_spec.hpp"

namespace gobuildenv::agent {
namespace {

std::string_view take_field(std::string_view& line) {
  const auto space = line.find(' ');
  const std::string_view field = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return field;
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// Space, tab, newline and backslash come as \040, \011, \012, \134.
std::string unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// What follows `folder` and a slash in `path`; nothing when it is not below it.
std::optional<std::string_view> below(std::string_view path, std::string_view folder) {
  if (folder == "/") folder = "";
  if (!path.starts_with(folder)) return std::nullopt;
  path.remove_prefix(folder.size());
  if (!path.starts_with('/') || path.size() < 2) return std::nullopt;
  return path.substr(1);
}

/// The value of `name` in "rw,name=value,…"; empty without one.
std::string_view option(std::string_view options, std::string_view name) {
  while (!options.empty()) {
    const auto comma = options.find(',');
    const std::string_view one = options.substr(0, comma);
    options.remove_prefix(comma == std::string_view::npos ? options.size() : comma + 1);
    if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=') {
      return one.substr(name.size() + 1);
    }
  }
  return {};
}

/// A mount inside a volume belongs to that; it comes after it in the kernel's order.
void add_newer(const MountEntry& entry, std::string_view home, std::string_view pods_dir,
               std::vector<MountedVolume>& volumes) {
  const auto source = below(entry.root, home);
  const auto place = below(entry.mount_point, pods_dir);
  if (!source || !place) return;
  for (MountedVolume& volume : volumes) {
    const auto inside = below(*place, volume.target);
    if (inside && inside->starts_with(kNewerFolder)) volume.newer.emplace_back(*source);
  }
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> out;
  while (!text.empty()) {
    const auto newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    take_field(line);  // mount id
    take_field(line);  // parent id
    MountEntry entry;
    entry.device = take_field(line);
    entry.root = unescape(take_field(line));
    entry.mount_point = unescape(take_field(line));
    take_field(line);  // options
    while (!line.empty() && take_field(line) != "-") {
    }
    entry.fs_type = take_field(line);
    take_field(line);  // source
    entry.options = unescape(take_field(line));
    if (!entry.mount_point.empty() && !entry.fs_type.empty()) out.push_back(std::move(entry));
  }
  return out;
}

std::optional<PlaceOnDisk> place_on_disk(const std::vector<MountEntry>& mounts,
                                         std::string_view path) {
  const MountEntry* best = nullptr;
  for (const MountEntry& entry : mounts) {
    const bool holds = entry.mount_point == path || below(path, entry.mount_point).has_value();
    if (holds && (best == nullptr || entry.mount_point.size() >= best->mount_point.size())) {
      best = &entry;
    }
  }
  if (best == nullptr) return std::nullopt;
  const auto rest = below(path, best->mount_point);
  std::string place = best->root;
  if (rest) {
    if (place != "/") place += '/';
    place += *rest;
  }
  return PlaceOnDisk{best->device, std::move(place)};
}

std::vector<MountedVolume> mounted_volumes(const std::vector<MountEntry>& mounts,
                                           std::string_view root, std::string_view pods_dir) {
  std::vector<MountedVolume> out;
  const auto home = place_on_disk(mounts, root);
  if (!home) return out;
  for (const MountEntry& entry : mounts) {
    const bool overlay = entry.fs_type == "overlay";
    if (!overlay && entry.device != home->device) continue;
    auto target = parse_target(entry.mount_point, pods_dir);
    if (!target) {
      if (!overlay) add_newer(entry, home->path, pods_dir, out);
      continue;
    }
    if (!overlay) {
      if (const auto source = below(entry.root, home->path)) {
        out.push_back({std::move(*target), std::string(*source), {}});
      }
      continue;
    }
    // Named as the agent that mounted it knew them.
    const auto upper = below(option(entry.options, "upperdir"), root);
    const auto lower = below(option(entry.options, "lowerdir"), root);
    if (upper && lower) {
      out.push_back({std::move(*target), std::string(*upper), std::string(*lower)});
    }
  }
  return out;
}

}  // namespace gobuildenv::agent
