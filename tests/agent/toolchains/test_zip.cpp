#include "tests/agent/toolchains/test_zip.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "kube/base64.hpp"

namespace gobuildenv::agent::testing {
namespace {

std::string little(std::uint64_t value, unsigned size) {
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i) & 0xffU);
  return out;
}

std::string deflated(const std::string& content) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  std::string out(deflateBound(&stream, static_cast<uLong>(content.size())), '\0');
  std::string in = content;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string sha256_of(const std::string& data) {
  std::array<unsigned char, 32> sum{};
  EVP_Digest(data.data(), data.size(), sum.data(), nullptr, EVP_sha256(), nullptr);
  return {sum.begin(), sum.end()};
}

}  // namespace

std::string make_zip(const std::vector<TestEntry>& entries) {
  std::string out;
  std::string directory;
  for (const TestEntry& entry : entries) {
    const std::string data = entry.deflate ? deflated(entry.content) : entry.content;
    const std::uint64_t size =
        entry.claimed_size.value_or(static_cast<std::uint32_t>(entry.content.size()));
    const std::string shared = little(20, 2) + little(entry.flags, 2) +
                               little(entry.method.value_or(entry.deflate ? 8 : 0), 2) +
                               little(0, 4) + little(0, 4) + little(data.size(), 4) +
                               little(size, 4) + little(entry.name.size(), 2);
    directory +=
        "PK\x01\x02" + little(entry.mode == 0 ? 20 : 3U << 8U | 20U, 2) + shared + little(0, 2) +
        little(0, 2) + little(0, 2) + little(0, 2) + little(std::uint64_t{entry.mode} << 16U, 4) +
        little(entry.offset.value_or(static_cast<std::uint32_t>(out.size())), 4) + entry.name;
    out += "PK\x03\x04" + shared + little(0, 2) + entry.name + data;
  }
  return out + directory + "PK\x05\x06" + little(0, 4) + little(entries.size(), 2) +
         little(entries.size(), 2) + little(directory.size(), 4) + little(out.size(), 4) +
         little(0, 2);
}

std::vector<TestEntry> small_toolchain(const std::string& version,
                                       const std::vector<TestEntry>& extra) {
  const std::string prefix = fmt::format("golang.org/toolchain@v0.0.1-go{}.linux-amd64/", version);
  const std::string script = fmt::format("#!/bin/sh\necho go version go{} linux/amd64\n", version);
  std::vector<TestEntry> out{
      {prefix + "bin/go", script},
      {prefix + "bin/gofmt", "#!/bin/sh\n"},
      {prefix + "lib/wasm/go_js_wasm_exec", "#!/bin/sh\n"},
      {prefix + "lib/time/README", "zones\n"},
      {prefix + "pkg/tool/linux_amd64/compile", std::string(700'000, 'c')},
      {prefix + "src/_go.mod", "module std\n"},
      {prefix + "src/fmt/print.go", "package fmt\n", false},
      {prefix + "src/empty.go", ""},
      {prefix + "VERSION", fmt::format("go{}\n", version)},
  };
  for (TestEntry entry : extra) {
    entry.name = prefix + entry.name;
    out.push_back(std::move(entry));
  }
  return out;
}

std::string h1_of_entries(std::vector<TestEntry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const TestEntry& a, const TestEntry& b) { return a.name < b.name; });
  std::string lines;
  for (const TestEntry& entry : entries) {
    for (const char c : sha256_of(entry.content)) {
      lines += fmt::format("{:02x}", static_cast<unsigned char>(c));
    }
    lines += "  " + entry.name + "\n";
  }
  return "h1:" + kube::encode_base64(sha256_of(lines));
}

}  // namespace gobuildenv::agent::testing
