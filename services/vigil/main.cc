// `vigil`: the operators' command line. What it can do is command_table.cc; what needs more than one request has a folder.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vigil/backup/backup_command.h"
#include "vigil/backup/restore_command.h"
#include "vigil/command_runner.h"
#include "vigil/command_table.h"
#include "vigil/environment.h"
#include "vigil/pack/pack_command.h"
#include "vigil/play/play.h"
#include "vigil/requirements/requirements.h"
#include "vigil/sample/sample_command.h"
#include "vigil/repair/repair_command.h"
#include "vigil/verify/verify_command.h"

namespace vigil {
namespace {

struct GlobalOptions {
  std::string token;
  std::string as;
  std::string language;
  std::string idempotency_key;
  std::string if_match;
  bool json = false;
};

// A row of the table on the command line: where CLI11 puts what was typed.
struct Typed {
  const CommandRow* row = nullptr;
  CLI::App* app = nullptr;
  std::vector<std::string> positional;
  std::string body_file;
  std::map<std::string, std::vector<std::string>, std::less<>> values;
  std::map<std::string, bool, std::less<>> flags;
  bool only_code = false;
  std::string output;
};

// Help is printed while options are still being parsed, so the language is looked for beforehand.
Language LanguageOf(int argc, char** argv, const Environment& environment) {
  std::string wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    if (argument == "--lang" && i + 1 < argc) wanted = argv[i + 1];
    if (argument.starts_with("--lang=")) wanted = argument.substr(std::string_view("--lang=").size());
  }
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const std::string locale = environment.Get(name);
    if (!locale.empty()) return ChooseLanguage(wanted, locale);
  }
  return ChooseLanguage(wanted, "");
}

std::unique_ptr<Typed> AddRow(CLI::App& app, const CommandRow& row, Language language) {
  auto typed = std::make_unique<Typed>();
  typed->row = &row;
  const std::size_t space = row.command.find(' ');
  CLI::App& parent = space == std::string_view::npos ? app : *app.get_subcommand(std::string(row.command.substr(0, space)));
  typed->app = parent.add_subcommand(std::string(row.command.substr(space == std::string_view::npos ? 0 : space + 1)), std::string(row.help.In(language)));
  const std::vector<std::string> parameters = PathParameters(row.path);
  typed->positional.resize(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) typed->app->add_option(parameters[i], typed->positional[i])->required();
  if (row.body_file) typed->app->add_option("file", typed->body_file)->required();
  for (const OptionRow& option : row.options) {
    const std::string name(option.option);
    const std::string help(option.help.In(language));
    if (option.kind == ValueKind::kYes || option.kind == ValueKind::kNo) {
      typed->app->add_flag(name, typed->flags[name], help);
      continue;
    }
    const bool repeats = option.kind == ValueKind::kTexts || option.kind == ValueKind::kFields || option.kind == ValueKind::kShifts;
    CLI::Option* added = typed->app->add_option(name, typed->values[name], help)->required(option.required)->allow_extra_args(false);
    if (!repeats) added->expected(1);
  }
  if (row.answer == Answer::kCustody) {
    typed->app->add_flag("--code", typed->only_code, std::string(Words{"只显示当前口令", "only the place's code now"}.In(language)));
  }
  if (row.answer == Answer::kFile) {
    typed->app->add_option("-o,--output", typed->output, std::string(Words{"写到这个文件（- 为标准输出）", "file to write (-: standard output)"}.In(language)))->required();
  }
  return typed;
}

// "-" is standard input; nullopt: it cannot be read.
std::optional<std::string> ReadTyped(const std::string& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    return text;
  }
  std::ifstream file(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(file), {});
  if (!file) return std::nullopt;
  return text;
}

int CannotRead(const std::string& path) {
  std::fprintf(stderr, "vigil: cannot read %s\n", path.c_str());
  return kExitWrongUsage;
}

int RunTyped(const Typed& typed, RunOptions options) {
  CommandInput input;
  input.positional = typed.positional;
  for (const auto& [name, values] : typed.values) {
    if (!values.empty()) input.values[name] = values;
  }
  for (const auto& [name, given] : typed.flags) {
    if (given) input.values[name] = {""};
  }
  for (const OptionRow& option : typed.row->options) {
    const auto given = input.values.find(option.option);
    if (option.kind != ValueKind::kFile || given == input.values.end()) continue;
    for (std::string& value : given->second) {
      std::optional<std::string> text = ReadTyped(value);
      if (!text) return CannotRead(value);
      value = *std::move(text);
    }
  }
  if (!typed.body_file.empty()) {
    std::optional<std::string> body = ReadTyped(typed.body_file);
    if (!body || body->empty()) return CannotRead(typed.body_file);
    input.body = *std::move(body);
  }
  options.only_code = typed.only_code;
  options.output = typed.output;
  return RunCommand(*typed.row, input, options);
}

int Main(int argc, char** argv) {
  const Environment environment = Environment::OfProcess();
  const Language language = LanguageOf(argc, argv, environment);
  const auto say = [&](std::string_view zh, std::string_view en) { return std::string(Words{zh, en}.In(language)); };

  CLI::App app(say("Vigil（守望）的命令行。VIGIL_URL、VIGIL_CA、VIGIL_TOKEN（或 VIGIL_ADMIN_TOKEN）说明连到哪里、以谁的身份；"
                   "没有时读 $VIGIL_HOME/env。",
                   "Vigil's command line. VIGIL_URL, VIGIL_CA and VIGIL_TOKEN (or VIGIL_ADMIN_TOKEN) say where and as whom; without them "
                   "$VIGIL_HOME/env does."));
  app.require_subcommand(1);
  app.fallthrough();
  app.set_help_all_flag("--help-all", say("所有子命令的帮助", "help of all subcommands"));
  GlobalOptions global;
  app.add_flag("--json", global.json, say("原样输出服务器的 JSON", "print the server's JSON as it is"));
  app.add_option("--token", global.token, say("令牌", "token"));
  app.add_option("--as", global.as, say("以此令牌的身份（同 --token）", "as the person of this token (same as --token)"));
  app.add_option("--lang", global.language, "zh / en");
  app.add_option("--idempotency-key", global.idempotency_key, say("POST 的幂等键（默认随机）", "Idempotency-Key of a POST (default random)"));
  app.add_option("--if-match", global.if_match, say("只在事项未变时执行（etag）", "only if the case is still at this etag"));

  // Rows of a group find it here.
  CLI::App* pack = app.add_subcommand("pack", say("规程包：检查、比较；一所学校的补充", "The protocol pack: check it, compare two; a school's overlay"))->require_subcommand(1);

  std::vector<std::unique_ptr<Typed>> rows;
  for (const CommandRow& row : CommandTable()) rows.push_back(AddRow(app, row, language));

  CLI::App* clock = app.add_subcommand("clock", say("域时钟；--speed 改变演练的速度", "Domain time; --speed changes a rehearsal's speed"));
  double speed = 0;
  clock->add_option("--speed", speed, say("快多少倍", "how many times faster"))->check(CLI::PositiveNumber);

  CLI::App* tail = app.add_subcommand("tail", say("实时显示发生的事（断线自动续上）", "Show what happens as it happens (resumes by itself)"));
  std::string school;
  std::string after;
  tail->add_option("--school", school, say("只看一所学校", "only this school"));
  tail->add_option("--after", after, say("从这个位置之后", "after this position"));

  CLI::App* attach = app.add_subcommand("attach", say("上传附件（jpeg、png、pdf）", "Send an attachment (jpeg, png, pdf)"));
  std::string attach_school;
  std::string attach_file;
  attach->add_option("school", attach_school)->required();
  attach->add_option("file", attach_file)->required();

  CLI::App* verify = app.add_subcommand("verify", say("核对账本与日志", "Check the ledger against the log"));
  VerifyOptions verify_options;
  verify->add_option("--partition", verify_options.partitions, say("只核对这些分区", "only these partitions"))->check(CLI::Range(0, 15));

  CLI::App* repair = app.add_subcommand(
      "repair", say("日志丢失或被重建后：按账本补写（在本机以安装用户运行）", "After the log lost messages or was made anew: append again what the ledger holds (on its machine)"));
  RepairOptions repair_options;
  repair->add_option("--partition", repair_options.partitions, say("只修复这些分区", "only these partitions"))->check(CLI::Range(0, 15));
  repair->add_flag("--dry-run", repair_options.only_look, say("只看不写", "only say what would be done"));

  CLI::App* backup = app.add_subcommand("backup", say("备份（不停机；再次备份到同一目录只写新增）", "Copy what cannot be made again, while everything runs; onto a copy, what is new"));
  BackupOptions backup_options;
  backup->add_option("--to", backup_options.to, say("日志与附件的备份目录", "directory of the copy of the log and attachments"));
  backup->add_option("--keys-to", backup_options.keys_to, say("密钥的备份目录（另一处）", "directory of the copy of keys (elsewhere)"));
  backup->add_option("--check", backup_options.check, say("只核对这个备份（不需要密钥和安装）", "only check this copy (needs no keys and no installation)"));
  backup->add_option("--trust", backup_options.trust, say("核对时用另存的公钥目录", "with --check: public keys that were kept elsewhere"));

  CLI::App* restore = app.add_subcommand("restore", say("用备份在空机器上重建安装", "Make an installation again from its copies, on an empty machine"));
  RestoreOptions restore_options;
  restore->add_option("--from", restore_options.from, say("日志的备份目录", "directory of the copy of the log"))->required()->check(CLI::ExistingDirectory);
  restore->add_option("--keys-from", restore_options.keys_from, say("密钥的备份目录", "directory of the copy of keys"))->required()->check(CLI::ExistingDirectory);
  restore->add_option("--custodian", restore_options.custodian, say("任一保管人的密钥文件", "the key file of either custodian"))->required()->check(CLI::ExistingFile);
  restore->add_option("--erasures", restore_options.erasures, say("备份之后的删除名单（可多个）", "lists of erasures newer than the copies"))->check(CLI::ExistingFile);
  restore->add_option("--home", restore_options.home, say("要新建的目录（默认 $VIGIL_HOME）", "directory to make (default $VIGIL_HOME)"))->envname("VIGIL_HOME");
  restore->add_option("--port", restore_options.port, say("第一个端口（默认同备份）", "first port (default as it was)"))->envname("VIGIL_PORT")->check(CLI::Range(1, 65000));
  restore->add_flag("--not-durable", restore_options.not_durable, say("接受不支持同步写入的文件系统", "accept a file system without synchronous writes"));

  CLI::App* sample = app.add_subcommand("sample", say("载入示例学校", "Load sample schools"));
  SampleOptions sample_options;
  sample->add_option("--schools", sample_options.schools, say("学校数", "how many schools"))->required()->check(CLI::Range(1, 9999));
  sample->add_option("--students", sample_options.students, say("每校学生数", "students in each"))->required()->check(CLI::Range(1, 9000));
  sample->add_option("--seed", sample_options.seed, say("种子", "seed"))->check(CLI::Range(0, 999));

  CLI::App* requirements =
      app.add_subcommand("requirements", say("两份文件的每一条由什么满足、由哪些测试证明", "What covers each clause of the documents, and which tests show it"));

  PackOptions pack_options;
  CLI::App* pack_check = pack->add_subcommand("check", say("检查规程包或学校的补充，按文件和行说明", "Check a pack or a school's overlay; mistakes by file and line"));
  pack_check->add_option("pack", pack_options.pack, say("规程包目录", "directory of the pack"))->required();
  pack_check->add_option("--overlay", pack_options.overlay, say("学校补充的目录", "directory of the school's overlay"));
  CLI::App* pack_diff = pack->add_subcommand("diff", say("两个版本有何不同", "What a new version changes"));
  pack_diff->add_option("pack", pack_options.pack, say("原规程包目录", "directory of the pack as it is"))->required();
  pack_diff->add_option("other", pack_options.other, say("新规程包目录", "directory of the new one"));
  pack_diff->add_option("--overlay", pack_options.overlay, say("原补充的目录", "overlay as it is"));
  pack_diff->add_option("--new-overlay", pack_options.other_overlay, say("新补充的目录", "the new overlay"));

  CLI::App* play = app.add_subcommand("play", "")->group("");
  PlayOptions play_options;
  play->add_flag("--once", play_options.once);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitWrongUsage;
  }

  // What needs no installation.
  if (requirements->parsed()) return RunRequirements(global.json);
  pack_options.json = global.json;
  if (pack_check->parsed()) return RunPackCheck(pack_options);
  if (pack_diff->parsed()) return RunPackDiff(pack_options);

  RunOptions options;
  options.json = global.json;
  options.connection.language = language;
  if (backup->parsed() && !backup_options.check.empty()) return RunBackup(backup_options, options, environment);
  if (restore->parsed()) {
    if (restore_options.home.empty()) restore_options.home = ".vigil";
    return RunRestore(restore_options, options);
  }
  options.idempotency_key = global.idempotency_key;
  options.if_match = global.if_match;
  Connection& connection = options.connection;
  connection.language = language;
  connection.url = environment.Get("VIGIL_URL");
  connection.ca_file = environment.Get("VIGIL_CA");
  for (const std::string& token : {global.as, global.token, environment.Get("VIGIL_TOKEN"), environment.Get("VIGIL_ADMIN_TOKEN")}) {
    if (connection.token.empty()) connection.token = token;
  }
  while (connection.url.ends_with('/')) connection.url.pop_back();
  if (connection.url.empty()) {
    std::fprintf(stderr, "vigil: %s\n",
                 say("没有 VIGIL_URL：先执行 . $VIGIL_HOME/env", "there is no VIGIL_URL: read $VIGIL_HOME/env first").c_str());
    return kExitWrongUsage;
  }

  for (const auto& typed : rows) {
    if (typed->app->parsed()) return RunTyped(*typed, options);
  }
  if (clock->parsed()) return RunClock(speed, options);
  if (tail->parsed()) return RunTail(school, after, options);
  if (attach->parsed()) return RunAttach(attach_school, attach_file, options);
  if (verify->parsed()) return RunVerify(verify_options, options, environment);
  if (backup->parsed()) return RunBackup(backup_options, options, environment);
  if (repair->parsed()) return RunRepair(repair_options, options, environment);
  if (sample->parsed()) return RunSample(sample_options, options, environment);
  return RunPlay(play_options, options, environment);
}

}  // namespace
}  // namespace vigil

int main(int argc, char** argv) {
  try {
    return vigil::Main(argc, argv);
  } catch (const std::exception& exception) {  // CLI11 and JSON report so
    std::fprintf(stderr, "vigil: %s\n", exception.what());
    return vigil::kExitRefused;
  }
}
