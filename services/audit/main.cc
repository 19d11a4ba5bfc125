// The ledger and the timeline.
#include <grpcpp/impl/service_type.h>

#include <filesystem>
#include <fstream>

#include "audit/audit.h"
#include "audit/handler.h"
#include "audit/ledger/format.h"
#include "audit/ledger/note.h"
#include "host/host.h"
#include "platform/crypto/random.h"

namespace {

const vigil::ServiceIdentity kIdentity{
    .name = "audit", .user = "audit", .writes = false, .summary = "Builds the ledger and the timeline, and serves both."};

const vigil::config::AcceptedOptions kOwnOptions{.required = {&vigil::config::ServiceOptions::checkpoint_key_file}};

// A new ledger signs with the installation's checkpoint key; one that is there keeps the key it has.
absl::Status GiveKey(const std::string& directory, const std::string& installation, const std::string& key_file) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const std::string path = vigil::format::KeyPath(directory);
  if (std::filesystem::exists(path, error) || std::filesystem::exists(vigil::format::DatabasePath(directory), error)) return absl::OkStatus();
  const absl::StatusOr<vigil::SigningKey> key = vigil::ReadSigningKey(key_file);
  if (!key.ok()) return key.status();
  const absl::StatusOr<vigil::NoteSigner> signer = vigil::NoteSigner::Create(vigil::LedgerKeyName(installation), *key);
  if (!signer.ok()) return signer.status();
  {
    std::ofstream file(path + ".new", std::ios::binary | std::ios::trunc);
    std::filesystem::permissions(path + ".new", std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
    file << signer->ToText().reveal() << '\n';
    if (!file.flush()) return absl::UnavailableError("cannot write " + path);
  }
  std::filesystem::rename(path + ".new", path, error);
  return error ? absl::UnavailableError("cannot write " + path) : absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  vigil::SignalWait signals;
  vigil::config::ServiceOptions options;
  if (auto code = vigil::ParseOptions(kIdentity, kOwnOptions, argc, argv, options)) return *code;
  auto host = vigil::ServiceHost::Open(kIdentity, options);
  if (!host.ok()) return vigil::CannotStart(host.status());

  const std::string directory = options.data_directory + "/ledger";
  if (absl::Status given = GiveKey(directory, options.installation, options.checkpoint_key_file); !given.ok()) return vigil::CannotStart(given);
  vigil::SystemRandom random;
  auto ledger = vigil::Ledger::Open({.directory = directory, .installation = options.installation}, random);
  if (!ledger.ok()) return vigil::CannotStart(ledger.status());
  auto store = vigil::audit::TimelineStore::Open(options.data_directory + "/timeline.db");
  if (!store.ok()) return vigil::CannotStart(store.status());

  vigil::SystemClock real_clock;
  vigil::ThreadLoop worker(&real_clock);
  vigil::audit::Audit audit(*std::move(ledger), *std::move(store), &worker, &real_clock, &(*host)->metrics());
  (*host)->Attach(&audit);
  audit.Attach(&(*host)->machine());
  worker.Start(audit.worker_hooks());
  const auto handler = vigil::audit::MakeHandler(&audit);
  const absl::Status started = (*host)->Start({handler.get()});
  if (!started.ok()) {
    worker.Stop();
    return vigil::CannotStart(started);
  }
  const int code = vigil::RunUntilSignal(signals, (*host)->lifecycle());
  worker.Stop();
  return code;
}
