// The one door for what people do.
#include <grpcpp/impl/service_type.h>

#include "host/host.h"
#include "intake/handler.h"
#include "intake/intake.h"
#include "machine/loop.h"
#include "platform/keys/nats_key_store.h"
#include "platform/logging/log.h"

namespace {

using Options = vigil::config::ServiceOptions;

const vigil::ServiceIdentity kIdentity{
    .name = "intake", .user = "intake", .writes = true, .summary = "Reports and commands of people, and the directory."};

const vigil::config::AcceptedOptions kOwnOptions{
    .required = {&Options::installation_key_file, &Options::check_in_key_file},
    .optional = {&Options::token_public_key_file, &Options::rehearsal, &Options::speed, &Options::notification_address}};

}  // namespace

int main(int argc, char** argv) {
  vigil::SignalWait signals;
  Options options;
  if (auto code = vigil::ParseOptions(kIdentity, kOwnOptions, argc, argv, options)) return *code;
  auto host = vigil::ServiceHost::Open(kIdentity, options);
  if (!host.ok()) return vigil::CannotStart(host.status());

  auto installation_key_bytes = vigil::ReadKeyFile(options.installation_key_file);
  if (!installation_key_bytes.ok()) return vigil::CannotStart(installation_key_bytes.status());
  auto installation_key = vigil::SealingKey::FromBytes(installation_key_bytes->reveal());
  if (!installation_key.ok()) return vigil::CannotStart(installation_key.status());
  auto check_in_key = vigil::ReadKeyFile(options.check_in_key_file);
  if (!check_in_key.ok()) return vigil::CannotStart(check_in_key.status());

  vigil::SystemRandom random;
  auto keys = vigil::OpenNatsKeyStore((*host)->nats_options(), *installation_key, random);
  if (!keys.ok()) return vigil::CannotStart(keys.status());
  auto outbox = vigil::OpenOutbox(options.data_directory + "/outbox.db");
  if (!outbox.ok()) return vigil::CannotStart(outbox.status());
  auto answers = vigil::IdempotencyIndex::Open(options.data_directory + "/answers.db");
  if (!answers.ok()) return vigil::CannotStart(answers.status());
  vigil::ThreadLoop worker((*host)->clock());
  worker.Start({.on_wake = [] { return absl::InfiniteFuture(); }});

  vigil::intake::Intake intake({.keys = keys->get(),
                                .outbox = outbox->get(),
                                .answers = answers->get(),
                                .random = &random,
                                .worker = &worker,
                                .installation_key = *installation_key,
                                .check_in_key = check_in_key->reveal(),
                                .metrics = &(*host)->metrics(),
                                .rehearsal = options.rehearsal,
                                .rehearsal_speed = options.speed});
  (*host)->Attach(&intake);
  intake.Attach(&(*host)->machine());
  const auto handler = vigil::intake::MakeHandler(&intake);
  if (absl::Status started = (*host)->Start({handler.get()}); !started.ok()) return vigil::CannotStart(started);
  (*host)->log()->OnConnection([&intake](bool connected) { intake.OnLogConnection(connected); });
  (*host)->lifecycle().OnStop("work that waits", [&] {
    (*host)->log()->OnConnection({});
    worker.Stop();
  });
  return vigil::RunUntilSignal(signals, (*host)->lifecycle());
}
