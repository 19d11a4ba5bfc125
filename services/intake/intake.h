// What people do, decided and appended: reports, commands on cases, directory, schedules, the rehearsal's clock.
//
// Thread-safe methods take a Caller and a request that the gateway has checked for shape; they check it against the pack and the case, and
// answer once the commit has been read back and applied. A report alone is never refused for state, and while the log is away it is accepted
// once it is on disk here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/classify.h"
#include "intake/caller.h"
#include "machine/machine.h"
#include "platform/blob/blob_store.h"
#include "platform/crypto/random.h"
#include "platform/keys/key_store.h"
#include "platform/metrics/metrics.h"
#include "platform/outbox/idempotency_index.h"
#include "platform/outbox/outbox.h"
#include "vigil/document/v1/document.pb.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::break_glass {
class ListKeeper;
}  // namespace vigil::break_glass

namespace vigil::intake {

class BreakGlass;

template <typename Response>
using Reply = std::function<void(absl::StatusOr<Response>)>;

struct IntakeDependencies {
  KeyStore* keys = nullptr;
  Outbox* outbox = nullptr;
  // Null: answers are remembered by the log alone (tests without a disk).
  IdempotencyIndex* answers = nullptr;
  // Null: attachments are not taken.
  BlobStore* blobs = nullptr;
  Random* random = nullptr;
  // For work that may wait (creating keys), off the machine's loop.
  Loop* worker = nullptr;
  // For what people ask to read, which no report waits behind. Null: `worker`.
  Loop* reader = nullptr;
  // Seals outbox rows; derives the rotating codes.
  std::optional<SealingKey> installation_key;
  std::string check_in_key;
  metrics::Registry* metrics = nullptr;
  // Null: severe matters are left to the ladders alone (tests of other things).
  BreakGlass* break_glass = nullptr;
  break_glass::ListKeeper* emergency_list = nullptr;
  // A rehearsal's clock may be set.
  bool rehearsal = false;
  double rehearsal_speed = 1;
};

// A school's pack as its state alone tells it.
v1::SchoolPack SchoolPackAnswer(const domain::SchoolState& school, const domain::Pack& common);

class Intake final : public Service {
 public:
  explicit Intake(IntakeDependencies dependencies);
  ~Intake() override;

  // Once, before anything else.
  void Attach(Machine* machine);

  void CreateReport(const Caller& caller, const v1::CreateReportRequest& request, Reply<v1::CreateReportResponse> reply);
  // A photo or a document, encrypted under a key of its own and on disk before the answer.
  void StoreAttachment(const Caller& caller, const v1::StoreAttachmentRequest& request, Reply<v1::Attachment> reply);
  // Its bytes, for who may read a report or a record that names it, and for who stored it.
  void GetAttachment(const Caller& caller, const v1::GetAttachmentRequest& request, Reply<v1::AttachmentContent> reply);
  void GetReport(const Caller& caller, const v1::GetReportRequest& request, Reply<v1::ReportReceipt> reply);
  void GetCase(const Caller& caller, const v1::CaseRequest& request, Reply<v1::Case> reply);
  void ListCases(const Caller& caller, const v1::ListCasesRequest& request, Reply<v1::ListCasesResponse> reply);
  void ListClocks(const Caller& caller, const v1::CaseRequest& request, Reply<v1::ListClocksResponse> reply);
  void GetCustody(const Caller& caller, const v1::CaseRequest& request, Reply<v1::Custody> reply);
  void TakeAlert(const Caller& caller, const v1::TakeAlertRequest& request, Reply<v1::Case> reply);
  void PutDirectory(const Caller& caller, const v1::PutDirectoryRequest& request, Reply<v1::PutDirectoryResponse> reply);
  void ListRecords(const Caller& caller, const v1::ListRecordsRequest& request, Reply<v1::ListRecordsResponse> reply);
  // The school's own matters, in a file of their own (school_matters.cc).
  void FileSchoolRecord(const Caller& caller, const v1::FileSchoolRecordRequest& request, Reply<v1::Record> reply);
  void ListSchoolRecords(const Caller& caller, const v1::ListSchoolRecordsRequest& request, Reply<v1::ListRecordsResponse> reply);
  void AcknowledgeSchoolRecord(const Caller& caller, const v1::AcknowledgeSchoolRecordRequest& request, Reply<v1::Record> reply);
  void ListDuties(const Caller& caller, const v1::ListDutiesRequest& request, Reply<v1::ListDutiesResponse> reply);
  void GetRegister(const Caller& caller, const v1::GetRegisterRequest& request, Reply<v1::Register> reply);
  void GetReadiness(const Caller& caller, const v1::GetReadinessRequest& request, Reply<v1::Readiness> reply);
  void GetStatistics(const Caller& caller, const v1::GetStatisticsRequest& request, Reply<v1::Statistics> reply);
  // What is printed (documents.cc). Each is told in the log before it is given out.
  void GetRecordDocument(const Caller& caller, const v1::GetRecordDocumentRequest& request, Reply<document::v1::Document> reply);
  void GetSchoolRecordDocument(const Caller& caller, const v1::GetSchoolRecordDocumentRequest& request, Reply<document::v1::Document> reply);
  void GetStatisticsDocument(const Caller& caller, const v1::GetStatisticsRequest& request, Reply<document::v1::Document> reply);
  // For whoever holds the address of a guardian's copy: NotFound when it opens nothing, whatever the reason.
  void OpenCopy(const v1::OpenCopyRequest& request, Reply<document::v1::Document> reply);
  // The school's own pack (school_pack.cc).
  void PutPack(const Caller& caller, const v1::PutPackRequest& request, Reply<v1::SchoolPack> reply);
  void GetPack(const Caller& caller, const v1::GetPackRequest& request, Reply<v1::SchoolPack> reply);
  void ApprovePack(const Caller& caller, const v1::ReviewPackRequest& request, Reply<v1::SchoolPack> reply);
  void RejectPack(const Caller& caller, const v1::ReviewPackRequest& request, Reply<v1::SchoolPack> reply);
  void PutCalendar(const Caller& caller, const v1::PutCalendarRequest& request, Reply<v1::Calendar> reply);
  // What is written about a person, for good (erasure.cc).
  void ErasePerson(const Caller& caller, const v1::ErasePersonRequest& request, Reply<v1::ErasePersonResponse> reply);
  void PutSchedule(const Caller& caller, const v1::PutScheduleRequest& request, Reply<v1::Schedule> reply);
  void GetOnCall(const Caller& caller, const v1::GetOnCallRequest& request, Reply<v1::OnCall> reply);
  void GetClock(const Caller& caller, const v1::GetClockRequest& request, Reply<v1::Clock> reply);
  void SetClock(const Caller& caller, const v1::SetClockRequest& request, Reply<v1::Clock> reply);

  // A command on a case. `events` makes the decision and its companions from the request and the state; it is given what commands need.
  struct CommandContext {
    // Under which the case was opened.
    const domain::Pack& pack;
    // Of the school now: who may do what.
    const domain::Pack& in_force;
    const domain::SchoolState& school;
    const FileEntry& file;
    const Caller& caller;
    absl::Time now;
    Intake& intake;

    // Seals text under the key of the file's student. Unavailable, NotFound (erased).
    absl::StatusOr<domain::Sealed> Seal(std::string_view text) const;
    // An id that follows from this command.
    std::string Id(char kind) const;
    std::string cause;
  };
  using MakeEvents = std::function<absl::StatusOr<std::vector<domain::Event>>(const CommandContext&)>;
  void Command(const Caller& caller, const std::string& case_id, std::string_view permission, MakeEvents events, Reply<v1::Case> reply);

  // identifyStudent and moveToStudent join the case to the right student's file: two commits, on two files.
  void IdentifyStudent(const Caller& caller, const v1::IdentifyStudentRequest& request, Reply<v1::Case> reply);
  void MoveToStudent(const Caller& caller, const v1::MoveToStudentRequest& request, Reply<v1::Case> reply);

  // The place's code at `now`, four digits, new every ten minutes of domain time.
  std::string PlaceCode(const std::string& case_id, absl::Time now) const;
  bool PlaceCodeMatches(const std::string& case_id, const std::string& code, absl::Time now) const;

  // In force in the school; on the machine's loop.
  const domain::Pack& PackOf(const std::string& school) const { return *machine_->PackOf(school); }
  // By which that case is, or was, decided; of a closed one, what is in force now.
  const domain::Pack& PackOfCase(const domain::FileState& file) const;

  // What the ids stand for in this school. InvalidArgument names the one that stands for nothing.
  absl::StatusOr<std::vector<domain::Attachment>> Attachments(const std::string& school, const google::protobuf::RepeatedPtrField<std::string>& ids) const;

  // The log has come or gone: what waits for it goes to the outbox, what lies there goes to the log.
  void OnLogConnection(bool connected);

  // Thread-safe: looks for what stands still, and records what break-glass did. Now and then.
  void OnBreakGlassTick();
  // On the loop, once, when the process has started: reports that lie in the outbox wait for a call, log or no log.
  void WatchOutbox();

  // Service.
  void OnCommit(const AppliedCommit& applied) override;
  void OnCaughtUp() override;
  void OnQuarantine(FileEntry& file) override;

 private:
  struct PendingReport;
  struct Answer {
    std::string body_hash;
    std::vector<std::function<void(const absl::Status&, const std::string&)>> waiting;
  };

  absl::Status Authorize(const Caller& caller, std::string_view permission, std::string_view school) const;
  absl::Status AuthorizeCase(const Caller& caller, std::string_view permission, const domain::FileState& file) const;
  // The file whose present or last case it is; null: none, or that file has another case since.
  FileEntry* FileOfCase(const std::string& case_id);
  std::string CauseOf(const Caller& caller, std::string_view school) const;
  // Of what replaces something, and so may be sent again without a key: no two commits have one id.
  std::string NewCause() const;

  // Unavailable until the log has been read once: before that "there is no such thing" would be a guess.
  absl::Status Ready() const;

  // Whether it was answered before; then `reply` has that answer, or that it was another request.
  template <typename Response>
  bool AnswerAgain(const Caller& caller, const std::string& key, const Reply<Response>& reply);
  bool AnswerAgain(const Caller& caller, const std::string& case_id, std::string_view permission, const Reply<v1::Case>& reply);
  // Runs `start` unless the same request was answered or is under way; then the same answer is given. `key`: the id of the commit that the
  // request makes. On the loop.
  template <typename Response>
  void Once(const Caller& caller, const std::string& key, Reply<Response> reply, std::function<void(Reply<Response>)> start);
  void Remember(const std::string& key, const std::string& body_hash, const std::string& response, int partition, domain::CommitPosition position);
  void RememberAnswer(const AppliedCommit& applied);
  void KeepWhatStateForgets(const AppliedCommit& applied);
  // The file as it stood when that case of it was closed; as much as is known, where the index has lost it.
  domain::FileState ClosedEpisode(const domain::FileState& file, const std::string& case_id) const;
  // Shows `read` the case as it is, or as it was when it was closed.
  absl::Status ReadCase(const Caller& caller, const std::string& case_id, const std::function<void(const domain::FileState&)>& read);
  // NotFound, Unavailable.
  absl::StatusOr<domain::Attachment> FindAttachment(const std::string& school, const std::string& id) const;

  // What the reporter is told of a report that stands in the log.
  v1::CreateReportResponse ReportAnswer(const domain::ReportReceived& received, const FileEntry& file, absl::Time accepted) const;

  // By (sequence, index) in one partition.
  using LogPlace = std::pair<std::uint64_t, std::uint32_t>;
  using LogCommits = std::map<LogPlace, log::v1::Commit>;
  struct LogReading;
  // On the loop, `done` too. What cannot be found is left out. Unavailable: the log is away.
  void ReadCommits(int partition, const std::set<LogPlace>& places, std::function<void(absl::StatusOr<LogCommits>)> done);
  Loop* reader() const { return dependencies_.reader != nullptr ? dependencies_.reader : dependencies_.worker; }

  struct Printing;
  void Print(std::shared_ptr<Printing> printing);
  void OpenPrinted(std::shared_ptr<Printing> printing, const LogCommits& commits);
  void NamePrinted(std::shared_ptr<Printing> printing);
  void TellPrinted(std::shared_ptr<Printing> printing);
  // Whether a copy of this case's records may be opened outside the school.
  bool CopiesAllowed(const domain::FileState& file) const;

  // Reads records back from the log, opens what the caller may read, and answers. On the loop.
  void ReadRecords(const Caller& caller, const FileEntry& file, const std::vector<const domain::RecordState*>& records, Reply<v1::ListRecordsResponse> reply);
  // `then` once the file of the school's own matters is there.
  void WithSchoolFile(const std::string& school, std::function<void(absl::StatusOr<FileEntry*>)> then);
  void SubmitToSchoolFile(const Caller& caller, FileEntry* file, std::string cause, std::function<absl::StatusOr<std::vector<domain::Event>>()> decide,
                          std::function<void(absl::StatusOr<Machine::Outcome>)> done);

  // Appends what happened to the school's pack, decided against its newest state, and shows the pack then.
  void SubmitPack(const Caller& caller, const std::string& school, std::function<absl::StatusOr<std::vector<domain::Event>>(const SchoolEntry&)> decide,
                  Reply<v1::SchoolPack> reply);
  void ShowPack(const std::string& school, Reply<v1::SchoolPack> reply);
  // Versions of the school under which no case is open any more.
  std::vector<std::string> UnusedVersions(const SchoolEntry& school) const;

  // On the loop.
  void PutDirectoryHere(const Caller& caller, v1::PutDirectoryRequest request, Reply<v1::PutDirectoryResponse> reply);
  void PutScheduleHere(const Caller& caller, const v1::PutScheduleRequest& request, Reply<v1::Schedule> reply);
  void PutCalendarHere(const Caller& caller, const v1::PutCalendarRequest& request, Reply<v1::Calendar> reply);

  void AcceptReport(std::shared_ptr<PendingReport> report);
  absl::StatusOr<Draft> DecideReport(PendingReport& report);
  void OnReportStored(PendingReport& report, const absl::StatusOr<Machine::Outcome>& outcome);
  void AnswerFromOutbox(std::shared_ptr<PendingReport> report);
  void DrainOutbox();
  void DrainLater();
  // Null: it cannot be opened.
  std::shared_ptr<PendingReport> ReadOutboxRow(const OutboxRow& row) const;

  // ---- erasing a person (erasure.cc)
  // Under whose keys, beside the student's own, a file's words are sealed: files from before the student was known, attachments.
  void NoteSubjects(const AppliedCommit& applied);
  void NoteErasures(const AppliedCommit& applied);
  void EraseGivenUp();

  // ---- break-glass (intake_break_glass.cc)
  static domain::ReportFacts FactsOf(const PendingReport& report);
  void WatchReport(const PendingReport& report);
  void StopWatching(const std::string& report_id);
  void NoteForBreakGlass(const AppliedCommit& applied);
  bool StillWaits(const domain::FileState& file, const std::string& key, const domain::Commit& commit) const;
  void WatchWhatIsOpen();
  void Watch(FileEntry* file, const domain::AlertState& alert, absl::Time since);
  void LookForStuckLadders();
  void LookForStuckReports();
  void RecordBreakGlass();

  bool IsStudent(const std::string& school, const std::string& id) const;
  void Join(const Caller& caller, FileEntry* from, const std::string& student, bool both_located, const std::string& cause,
            const std::string& moved_cause, Reply<v1::Case> reply);
  void JoinFiles(const Caller& caller, FileEntry* from, const std::string& student, bool both_located, Reply<v1::Case> reply);
  absl::StatusOr<std::vector<std::string>> FindByName(const std::string& school, const std::string& name, const std::string& class_name) const;
  void OpenInstallation();

  IntakeDependencies dependencies_;
  Machine* machine_ = nullptr;

  // On the loop's thread.
  std::unordered_map<std::string, FileEntry*> files_by_case_;
  std::unordered_map<std::string, FileEntry*> files_by_alert_;
  std::unordered_map<std::string, FileEntry*> files_by_report_;
  // By report id. A report that was joined to another file is still its reporter's.
  std::unordered_map<std::string, std::string> reporters_;
  // Where an attachment is named, by AttachmentKey.
  struct Naming {
    FileEntry* file;
    std::string record_kind;  // empty: a report
    std::string author;
  };
  std::unordered_map<std::string, std::vector<Naming>> named_in_;
  absl::Status MayReadAttachment(const Caller& caller, const std::string& school, const domain::Attachment& attachment);
  int attachments_being_read_ = 0;
  // When a guardian's reading was last told in the log, by record id; the newest few.
  std::unordered_map<std::string, absl::Time> copies_told_;
  std::unordered_map<std::string, FileEntry*> files_by_student_;  // "school/student": the file of a student
  std::unordered_map<std::string, std::vector<FileEntry*>> files_by_school_;
  // "school/name/class", normalised, to student ids. Held in memory only.
  std::unordered_map<std::string, std::vector<std::string>> students_by_name_;
  std::unordered_map<const FileEntry*, std::set<std::string>> subjects_of_file_;
  std::set<std::string> erased_people_;  // "school/person"
  // Read of, and perhaps still there.
  std::vector<domain::ErasedKey> given_up_;
  bool erasing_ = false;
  std::unordered_map<std::string, Answer> under_way_;
  std::unordered_map<std::string, std::shared_ptr<PendingReport>> pending_reports_;
  // What break-glass watches, by file; open alerts of severe levels, by id; records on their way to the log.
  std::unordered_map<const FileEntry*, std::set<std::string>> watched_;
  std::unordered_map<std::string, FileEntry*> open_alerts_;
  std::set<std::string> recording_;
  std::uint64_t stored_at_last_look_ = 0;
  bool stood_still_ = false;
  bool installation_opened_ = false;
  bool drain_waits_ = false;
};

}  // namespace vigil::intake
