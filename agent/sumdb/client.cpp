#include "agent/sumdb/client.hpp"

#include <fmt/format.h>

#include "agent/sumdb/lookup.hpp"
#include "agent/sumdb/tree.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

tl::unexpected<Error> forked(const HeadStore& heads, const SignedHead& older,
                             const SignedHead& newer, const Hash& instead) {
  return tl::unexpected(Error{
      Error::Kind::Forked,
      fmt::format("SECURITY: checksum database {} has signed two histories that contradict each "
                  "other. Nothing it says is believed. In the newer tree the first {} records "
                  "have root {}, the older head says {}.\nolder head:\n{}newer head:\n{}",
                  heads.key().name, older.head.size, to_base64(instead), to_base64(older.head.root),
                  older.note, newer.note)});
}

/// The tree to prove records in: the newer one of what `heads` knows and `shown`, after the older
/// one was found to be a part of it. Keeps the newer head.
tl::expected<Tree, Error> merge(Reader& reader, HeadStore& heads, const SignedHead& shown) {
  for (;;) {
    const auto seen = heads.current();
    const bool shown_is_newer = !seen || shown.head.size > seen->head.size;
    const SignedHead& newer = shown_is_newer ? shown : *seen;
    if (seen && seen->head.size == shown.head.size && seen->head.root != shown.head.root) {
      return forked(heads, *seen, shown, shown.head.root);
    }
    auto tree = Tree::open(newer.head, reader);
    if (!tree) return tree;
    if (seen) {
      const SignedHead& older = shown_is_newer ? *seen : shown;
      const auto root = tree->root_at(older.head.size);
      if (!root) return tl::unexpected(root.error());
      if (*root != older.head.root) return forked(heads, older, newer, *root);
    }
    if (!shown_is_newer) return tree;
    const auto kept = heads.advance(seen, shown);
    if (!kept) return tl::unexpected(kept.error());
    if (*kept) return tree;
  }
}

}  // namespace

tl::expected<std::string, Error> verified_sum(Reader& reader, HeadStore& heads,
                                              std::string_view module, std::string_view version) {
  const auto path = lookup_path(module, version);
  if (!path) return path;
  const auto answer = reader.read(*path);
  if (!answer) return answer;
  const auto lookup = parse_lookup(*answer);
  if (!lookup) return tl::unexpected(lookup.error());
  const auto shown = open_signed_head(lookup->note, heads.key());
  if (!shown) return tl::unexpected(shown.error());
  auto tree = merge(reader, heads, *shown);
  if (!tree) return tl::unexpected(tree.error());
  const auto proved = tree->record(lookup->id);
  if (!proved) return tl::unexpected(proved.error());
  if (*proved != record_hash(lookup->text)) {
    return tl::unexpected(
        Error{Error::Kind::Unverified,
              fmt::format("record {} for {}@{} is not the one in the signed tree: it was changed "
                          "on the way",
                          lookup->id, module, version)});
  }
  return sum_in_record(lookup->text, module, version);
}

}  // namespace gobuildenv::agent::sumdb
