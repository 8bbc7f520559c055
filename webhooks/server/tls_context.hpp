#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "webhooks/certificates/key_pair.hpp"
#include "webhooks/server/server.hpp"

namespace gobuildenv::webhooks::server {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

/// A server context that serves `pair` from memory. Error: what is wrong with the pair.
tl::expected<TlsContext, std::string> make_tls_context(const certificates::KeyPair& pair,
                                                       TlsVersion min_version);

}  // namespace gobuildenv::webhooks::server
