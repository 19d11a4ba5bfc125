// Makes pages in a program of their own, one at a time. Fonts and shaping are a great deal of code that is given text written by people: a
// program that is started for one document, with limits of time and memory and no keys, can be killed when it does not end, and what breaks it
// breaks nothing else.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/document/document.h"

namespace vigil::document {

// How the program says what was wrong.
inline constexpr int kExitBadText = 3;
inline constexpr int kExitTooLong = 4;
inline constexpr int kExitNoFonts = 5;

class Printer {
 public:
  // The PDF. InvalidArgument: text that is none; OutOfRange: too long; ResourceExhausted: too many wait, ask again soon; DeadlineExceeded: it took
  // too long; Unavailable: shutting down, or the program or its fonts are not there.
  using Done = std::function<void(absl::StatusOr<std::string>)>;

  virtual ~Printer() = default;
  // Thread-safe, does not wait. `done` runs once, on a thread of the printer or before this returns.
  virtual void Print(const Document& document, Done done) = 0;
};

struct PrinterOptions {
  std::string program;  // vigil-document
  std::size_t most_waiting = 8;
  absl::Duration longest = absl::Seconds(10);
  std::size_t most_bytes = 16 << 20;  // of a PDF
};

// Its destructor ends the running program and answers what waits.
class ProcessPrinter final : public Printer {
 public:
  explicit ProcessPrinter(PrinterOptions options);
  ~ProcessPrinter() override;
  void Print(const Document& document, Done done) override;

 private:
  struct Job {
    std::string input;
    Done done;
  };
  void Work();
  absl::StatusOr<std::string> Run(const std::string& input);
  bool Stopping();

  const PrinterOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

// The program beside the one that runs.
std::string ProgramBeside(const std::string& name);

}  // namespace vigil::document
