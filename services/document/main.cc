// Makes the pages of one document: reads it from standard input, writes the PDF to standard output, and ends. Started by the gateway for each
// document that is printed (platform/document/printer.h); it opens its fonts and nothing else.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "platform/document/pages.h"
#include "platform/document/printer.h"

namespace {

constexpr rlim_t kProcessorSeconds = 10;
constexpr rlim_t kMemoryBytes = rlim_t{768} << 20;
constexpr int kNiceness = 10;

void Limit(int what, rlim_t value) {
  const rlimit limit{value, value};
  setrlimit(static_cast<__rlimit_resource>(what), &limit);
}

}  // namespace

int main() {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // What it reads is about a child: nothing of it may be left on a disk.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_FSIZE, 0);
  Limit(RLIMIT_CPU, kProcessorSeconds);
  Limit(RLIMIT_AS, kMemoryBytes);
  Limit(RLIMIT_NOFILE, 32);
  setpriority(PRIO_PROCESS, 0, kNiceness);

  std::string input;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    input.append(buffer, static_cast<std::size_t>(count));
    if (input.size() > vigil::document::kMaxDocumentBytes) return vigil::document::kExitTooLong;
  }
  const auto document = vigil::document::Decode(input);
  if (!document.ok()) return vigil::document::kExitBadText;
  const auto pages = vigil::document::MakePages(*document, vigil::document::FontFiles());
  if (absl::IsInvalidArgument(pages.status())) return vigil::document::kExitBadText;
  if (absl::IsOutOfRange(pages.status())) return vigil::document::kExitTooLong;
  if (absl::IsNotFound(pages.status())) return vigil::document::kExitNoFonts;
  if (!pages.ok()) return 1;
  std::string_view rest = pages->pdf;
  while (!rest.empty()) {
    const ssize_t count = write(STDOUT_FILENO, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return 1;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}
