// render_tool VERSION < spec.json
//   Prints the data of the revision that spec.json renders to, as a JSON object of strings: the way
//   of the script tests to the real scripts.
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "crds/gobuildenv.hpp"
#include "goenv/revision.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: render_tool VERSION < spec.json\n", stderr);
    return 2;
  }
  std::string text;
  char buffer[4096];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
    text.append(buffer, got);
  }
  const auto spec = gobuildenv::crds::decode_spec(text);
  if (!spec) {
    std::fputs(gobuildenv::crds::describe(spec.error()).c_str(), stderr);
    return 1;
  }
  const auto revision = gobuildenv::goenv::render(*spec, argv[1], {});
  std::puts(nlohmann::json(revision.data).dump().c_str());
}
