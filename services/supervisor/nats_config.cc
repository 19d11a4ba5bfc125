#include "supervisor/nats_config.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "platform/log/log.h"
#include "platform/log/nats_admin.h"
#include "supervisor/layout.h"

namespace vigil::installation {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

void AllowReadingStream(const std::string& stream, std::vector<std::string>& publish) {
  publish.push_back(absl::StrCat("$JS.API.STREAM.INFO.", stream));
  publish.push_back(absl::StrCat("$JS.API.STREAM.MSG.GET.", stream));
  publish.push_back(absl::StrCat("$JS.API.CONSUMER.CREATE.",
                                 stream));  // ephemeral only: nothing a user makes outlives its connection
  publish.push_back(absl::StrCat("$JS.API.CONSUMER.CREATE.", stream, ".>"));
  publish.push_back(absl::StrCat("$JS.API.CONSUMER.INFO.", stream, ".*"));
  publish.push_back(absl::StrCat("$JS.API.CONSUMER.DELETE.", stream, ".*"));
  publish.push_back(absl::StrCat("$JS.FC.", stream, ".>"));
}

void AllowReadingLog(std::vector<std::string>& publish) {
  for (int partition = 0; partition < kPartitions; ++partition) AllowReadingStream(StreamName(partition), publish);
}

void AllowReadingKeys(std::vector<std::string>& publish) {
  const std::string stream = absl::StrCat("KV_", kKeyBucket);
  AllowReadingStream(stream, publish);
  publish.push_back(absl::StrCat("$JS.API.DIRECT.GET.", stream));
  publish.push_back(absl::StrCat("$JS.API.DIRECT.GET.", stream, ".>"));
}

void AllowWritingKeys(std::vector<std::string>& publish) {
  publish.push_back(absl::StrCat("$KV.", kKeyBucket, ".>"));
  publish.push_back(
      absl::StrCat("$JS.API.STREAM.MSG.DELETE.KV_", kKeyBucket));  // securely deletes an erased key's revisions
}

std::string Quoted(std::string_view text) { return absl::StrCat("\"", View(text), "\""); }

std::string List(const std::vector<std::string>& subjects) {
  return absl::StrCat(
      "[", absl::StrJoin(subjects, ", ", [](std::string* out, const std::string& subject) { *out += Quoted(subject); }),
      "]");
}

}  // namespace

NatsPermissions PermissionsOf(std::string_view user) {
  NatsPermissions permissions;
  const auto allow_inbox = [&] { permissions.subscribe.push_back(absl::StrCat("_INBOX_", View(user), ".>")); };
  for (const Service& service : kServices) {
    if (service.user != user) continue;
    allow_inbox();
    if (!service.source.empty()) {
      for (int partition = 0; partition < kPartitions; ++partition)
        permissions.publish.push_back(SubjectName(partition, service.source));
    }
    AllowReadingLog(permissions.publish);
    if (service.reads_keys) AllowReadingKeys(permissions.publish);
    if (service.writes_keys) AllowWritingKeys(permissions.publish);
  }
  if (user == kReaderUser) {
    allow_inbox();
    AllowReadingLog(permissions.publish);
  }
  if (user == kAdminUser) {
    allow_inbox();
    permissions.publish = {"$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.UPDATE.*",
                           "$JS.API.INFO"};
  }
  return permissions;
}

std::string NatsConfig(const NatsSettings& settings) {
  std::string text = absl::StrCat(
      "# Written by vigil-installation at every start; changes here are lost.\n"
      "server_name: ",
      Quoted(settings.server_name),
      "\n"
      "host: \"127.0.0.1\"\n"
      "port: ",
      settings.port,
      "\n"
      "max_payload: ",
      kMaxPayloadBytes,
      "\n"
      "tls {\n"
      "  cert_file: ",
      Quoted(settings.certificate.string()),
      "\n"
      "  key_file: ",
      Quoted(settings.key.string()),
      "\n"
      "  ca_file: ",
      Quoted(settings.authority.string()),
      "\n"
      "  timeout: 5\n"
      "}\n"
      "jetstream {\n"
      "  store_dir: ",
      Quoted(settings.store.string()),
      "\n"
      "  max_memory_store: 67108864\n"
      "  max_file_store: ",
      settings.max_store_bytes,
      "\n"
      "}\n"
      "authorization {\n"
      "  timeout: 5\n"
      "  users: [\n");
  for (const NatsUser& user : settings.users) {
    const NatsPermissions permissions = PermissionsOf(user.name);
    absl::StrAppend(&text, "    # ", user.name,
                    "\n"
                    "    {\n"
                    "      nkey: ",
                    Quoted(user.public_key),
                    "\n"
                    "      permissions: {\n"
                    "        publish: {allow: ",
                    List(permissions.publish),
                    "}\n"
                    "        subscribe: {allow: ",
                    List(permissions.subscribe),
                    "}\n"
                    "      }\n"
                    "    }\n");
  }
  absl::StrAppend(&text, "  ]\n}\n");
  return text;
}

}  // namespace vigil::installation
