#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace gobuildenv::cli {

/// One YAML or JSON document of the command line's input.
struct Document {
  std::string source;  ///< "FILE:LINE", or "standard input:LINE": for messages
  std::string json;    ///< the document as JSON text, keys in their order
  std::string kind;    ///< empty when it has none
  std::string ns;      ///< metadata.namespace
  std::string name;    ///< metadata.name, else generateName
};

/// Reads every document of `paths`: files, "-" for standard input, folders (their *.yaml, *.yml and
/// *.json, sorted, not recursive). Items of a List are taken out of it. Error: a sentence with the
/// file and the line.
tl::expected<std::vector<Document>, std::string> read_documents(
    const std::vector<std::string>& paths);

/// Output of documents, `format` "yaml" or "json": YAML documents separated by ---, or for JSON one
/// object alone and several as a v1 List. Error: a document is not JSON.
tl::expected<std::string, std::string> print_documents(const std::vector<std::string>& documents,
                                                       const std::string& format);

}  // namespace gobuildenv::cli
