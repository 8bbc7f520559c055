#include "controllers/manager/certificates.hpp"

#include <spdlog/spdlog.h>

#include <string>

namespace gobuildenv::controllers {
namespace {

CertificateOptions certificate_options(const ManagerOptions& options) {
  CertificateOptions out;
  out.secret = {options.own_namespace, options.secret_name};
  out.rotation.dns_names =
      webhooks::certificates::service_names(options.service_name, options.own_namespace);
  out.rotation.dns_names.insert(out.rotation.dns_names.end(), options.extra_dns_names.begin(),
                                options.extra_dns_names.end());
  out.rotation.ip_addresses = options.extra_ip_addresses;
  out.rotation.settle = options.certificate_settle;
  return out;
}

}  // namespace

ManagerCertificates::ManagerCertificates(const ManagerOptions& options, ManagerInformers& informers,
                                         kube::Client& client,
                                         const OperatorMetrics& operator_metrics,
                                         kube::Clock& clock, kube::Metrics& metrics)
    : options_(options), informers_(informers), operator_metrics_(operator_metrics) {
  if (!informers_.certificates) return;
  CertificateInformers& watched = *informers_.certificates;
  watched.secret.add_handler([this](const auto& change) { on_secret(change); });
  if (!informers_.own_certificate) return;
  rotation_.emplace(
      CertificateController::Sources{client, watched.secret, watched.mutating, watched.validating},
      clock, certificate_options(options_));
  kube::ControllerOptions controller;
  controller.name = "certificates";
  controller.workers = 1;
  controller_.emplace(controller, clock, &metrics,
                      [this](const auto& key) { return rotation_->reconcile(key); });
  const auto look = [this](const auto& change) {
    if (change.origin != kube::Origin::OwnWrite) enqueue();
  };
  watched.secret.add_handler(look);
  watched.mutating.add_handler(look);
  watched.validating.add_handler(look);
}

void ManagerCertificates::begin() {
  if (!controller_) return;
  begun_.store(true, std::memory_order_release);
  enqueue();
  controller_->start();
}

void ManagerCertificates::request_stop() {
  if (controller_) controller_->request_stop();
}

void ManagerCertificates::join() {
  if (controller_) controller_->join();
}

void ManagerCertificates::add_checks(kube::HealthChecks& ready) {
  if (!informers_.certificates) return;
  ready.add("certificate", [this]() -> std::optional<std::string> {
    if (loaded_) return std::nullopt;
    return "no certificate is loaded from Secret " + options_.secret_name;
  });
  if (!rotation_) return;
  ready.add("ca-bundle", [this]() -> std::optional<std::string> {
    if (rotation_->published()) return std::nullopt;
    return "the webhook configurations do not trust the CA yet";
  });
}

void ManagerCertificates::on_secret(const kube::Change<CertificateSecret>& change) {
  if (!change.new_value) return;  // what is served goes on being served
  operator_metrics_.certificates(change.new_value->stored);
  const webhooks::certificates::KeyPair& leaf = change.new_value->stored.leaf;
  if (change.old_value && change.old_value->stored.leaf == leaf && loaded_) return;
  const auto checked = webhooks::certificates::check_pair(leaf);
  if (!checked) {
    spdlog::warn("the Secret has no certificate to serve namespace={} name={} error=\"{}\"",
                 change.key.ns, change.key.name, checked.error());
    return;
  }
  if (options_.on_certificate) options_.on_certificate(leaf);
  loaded_ = true;
}

void ManagerCertificates::enqueue() {
  if (begun_.load(std::memory_order_acquire)) {
    controller_->queue().add(informers_.certificates->key);
  }
}

}  // namespace gobuildenv::controllers
