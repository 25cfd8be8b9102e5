#include "w2stree/json/json_trajectories.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/keyed_hash.hpp"
#include "json/json_values.hpp"

namespace w2stree {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

enum Field : std::size_t { kTaskId, kPrompt, kSteps, kTotalReturn, kStatus, kOrigin, kInfo };
constexpr std::array<std::string_view, 7> kFields{"task_id", "prompt", "steps", "total_return",
                                                  "status",  "origin", "info"};

enum StepField : std::size_t {
  kAction,
  kObservation,
  kResponse,
  kTokenIds,
  kLogprobs,
  kReward,
  kToolCalls,
  kIsCut
};
constexpr std::array<std::string_view, 8> kStepFields{
    "action", "observation", "response", "token_ids", "logprobs", "reward", "tool_calls", "is_cut"};

constexpr std::array<std::string_view, 2> kMessageFields{"role", "content"};
constexpr std::array<std::string_view, 4> kCallFields{"name", "arguments", "id", "result"};

// The whole numbers first, then the numbers, then the texts.
enum OriginField : std::size_t {
  kSampleIndex,
  kAttempt,
  kSeed,
  kPrefixLength,
  kNumTokens,
  kTemperature,
  kTopP,
  kRawReturn,
  kModel,
  kPolicy,
  kTokenizer,
  kError,
  kTruncatedBy
};
constexpr std::array<std::string_view, 13> kOriginFields{
    "sample_index", "attempt", "seed",   "prefix_length", "num_tokens", "temperature", "top_p",
    "raw_return",   "model",   "policy", "tokenizer",     "error",      "truncated_by"};

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

// Any other name has white space, or is to be looked at with Unicode's eyes.
bool is_tool_name(const JsonValue* value) {
  return is_text(value) && !value->text().empty() &&
         std::ranges::all_of(value->text(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool is_array(const JsonValue* value) {
  return value != nullptr && value->is_array();
}

// The merge key of a turn's calls (`action_of` in w2stree/trajectories/tool_call.py).
bool read_calls(const JsonValue* calls, CanonicalObjects& canonical, std::string& action) {
  action.clear();
  return is_array(calls) && for_each_item(*calls, [&](const JsonValue& call) {
           std::array<const JsonValue*, kCallFields.size()> value;
           if (!read_fields(call, kCallFields, value)) return false;
           const auto [name, arguments, id, result] = value;
           if (!is_tool_name(name) || !is_text(arguments) || !may_be(id, is_text) ||
               !may_be(result, is_text) || !canonical.has(arguments->text())) {
             return false;
           }
           if (!action.empty()) action += '\n';
           action.append(name->text()).append(" ").append(arguments->text());
           return true;
         });
}

// Bytes that are equal where what was put in is.
class Bytes {
 public:
  void clear() { bytes_.clear(); }
  std::string_view view() const { return bytes_; }

  void put(std::uint64_t word) { bytes_.append(reinterpret_cast<const char*>(&word), sizeof word); }
  void put(std::string_view text) {
    put(text.size());
    bytes_.append(text);
  }
  void put_text(const JsonValue* value) {
    put(is_absent(value) ? std::uint64_t{0} : std::uint64_t{1});
    if (!is_absent(value)) put(value->text());
  }
  void put_number(const JsonValue* value) {
    put(is_absent(value) ? std::uint64_t{0} : std::uint64_t{1});
    if (!is_absent(value)) put(std::bit_cast<std::uint64_t>(value->number()));
  }
  void put_integer(const JsonValue* value) {
    put(is_absent(value) ? std::uint64_t{0} : static_cast<std::uint64_t>(value->integer()));
  }

 private:
  std::string bytes_;
};

bool read_prompt(const JsonValue* prompt, Bytes& bytes) {
  bytes.clear();
  return is_array(prompt) && for_each_item(*prompt, [&](const JsonValue& message) {
           std::array<const JsonValue*, 2> value;
           if (!read_fields(message, kMessageFields, value)) return false;
           const auto [role, content] = value;
           if (!is_text(role) || !is_text(content)) return false;
           const std::string_view name = role->text();
           if (name != "system" && name != "user" && name != "assistant") return false;
           bytes.put(name);
           bytes.put(content->text());
           return true;
         });
}

// `is_known`: whether seed and sample are, so that there is a key.
bool read_origin(const JsonValue* origin, std::string_view task_id, Bytes& key, bool& is_known) {
  is_known = false;
  if (is_absent(origin)) return true;
  std::array<const JsonValue*, kOriginFields.size()> value;
  if (!read_fields(*origin, kOriginFields, value)) return false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!may_be(value[i], i < kTemperature ? is_integer : i < kModel ? is_number : is_text)) {
      return false;
    }
  }
  is_known = !is_absent(value[kSampleIndex]) && !is_absent(value[kSeed]);
  if (!is_known) return true;
  key.clear();
  key.put(task_id);
  for (const OriginField field : {kSampleIndex, kSeed, kAttempt}) key.put_integer(value[field]);
  for (const OriginField field : {kTemperature, kTopP}) key.put_number(value[field]);
  for (const OriginField field : {kPolicy, kModel}) key.put_text(value[field]);
  return true;
}

// Records without `origin` may have it in `info`, where 0.1.0 wrote it.
bool read_info(const JsonValue* info, bool has_origin) {
  if (is_absent(info)) return true;
  if (!info->is_object() || !is_plain(*info)) return false;
  return has_origin || (!has_field(*info, "sample_index") && !has_field(*info, "policy") &&
                        !has_field(*info, "tokenizer"));
}

}  // namespace

class JsonTrajectoryReader::Lines {
 public:
  void begin_file() { line_ = 0; }

  bool append(std::string_view block) {
    const auto size = static_cast<std::int64_t>(block.size());
    for (std::int64_t begin = 0; begin < size;) {
      const std::size_t found = block.find('\n', static_cast<std::size_t>(begin));
      const std::int64_t next =
          found == std::string_view::npos ? size : static_cast<std::int64_t>(found) + 1;
      if (!append_line(block, begin, next)) return false;
      begin = next;
    }
    ++num_blocks_;
    return true;
  }

  JsonTrajectories finish() && { return std::move(read_); }

 private:
  bool append_line(std::string_view block, std::int64_t begin, std::int64_t end) {
    const auto text = [&] {
      return block.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    };
    ++line_;
    if (text().ends_with('\n')) --end;
    if (line_ == 1 && text().starts_with(kByteOrderMark)) {
      begin += static_cast<std::int64_t>(kByteOrderMark.size());
    }
    if (is_blank(text())) return true;
    const JsonValue* record = parser_.parse(text());
    if (record == nullptr || !append_record(*record)) return false;
    read_.block.push_back(num_blocks_);
    read_.begin.push_back(begin);
    read_.end.push_back(end);
    read_.line.push_back(line_);
    return true;
  }

  bool append_record(const JsonValue& record) {
    std::array<const JsonValue*, kFields.size()> value;
    if (!read_fields(record, kFields, value)) return false;
    if (!is_text(value[kTaskId]) || !is_number(value[kTotalReturn])) return false;
    const std::string_view status = is_text(value[kStatus]) ? value[kStatus]->text() : "";
    const bool is_error = status == "error";
    if (!is_error && status != "done" && status != "truncated") return false;
    const std::string_view task_id = value[kTaskId]->text();
    const double total_return = value[kTotalReturn]->number();
    bool has_key = false;
    if (!read_prompt(value[kPrompt], prompt_) ||
        !read_origin(value[kOrigin], task_id, key_, has_key) ||
        !read_info(value[kInfo], !is_absent(value[kOrigin])) || !read_steps(value[kSteps])) {
      return false;
    }
    std::uint64_t gist = hash_words(hash_text(task_id), std::bit_cast<std::uint64_t>(total_return));
    gist = hash_words(gist, static_cast<std::uint64_t>(status.front()));
    for (const std::uint64_t said : said_) gist = hash_words(gist, said);
    read_.gist.push_back(gist);
    read_.key.push_back(has_key ? keys_.intern(key_.view()) : kNone);
    read_.is_error.push_back(is_error ? 1 : 0);
    if (!is_error) append_played(task_id, total_return);
    return true;
  }

  bool read_steps(const JsonValue* steps) {
    actions_.clear();
    observations_.clear();
    said_.clear();
    num_called_ = 0;
    return is_array(steps) &&
           for_each_item(*steps, [this](const JsonValue& step) { return read_step(step); });
  }

  bool read_step(const JsonValue& step) {
    std::array<const JsonValue*, kStepFields.size()> value;
    if (!read_fields(step, kStepFields, value)) return false;
    if (!is_text(value[kObservation]) || !may_be(value[kResponse], is_text) ||
        !may_be(value[kReward], is_number) || !may_be(value[kIsCut], is_truth) ||
        !has_usual_tokens(value[kTokenIds], value[kLogprobs])) {
      return false;
    }
    std::string_view action;
    if (!read_action(value[kAction], value[kToolCalls], action)) return false;
    const std::string_view observation = value[kObservation]->text();
    const std::string_view response =
        is_absent(value[kResponse]) ? std::string_view() : value[kResponse]->text();
    actions_.push_back(action);
    observations_.push_back(observation);
    // A gist is no result: 64 bits of each text do.
    said_.push_back(hash_text(action));
    said_.push_back(hash_text(observation));
    said_.push_back(hash_text(response));
    return true;
  }

  static bool has_usual_tokens(const JsonValue* ids, const JsonValue* logprobs) {
    if (is_absent(ids) || is_absent(logprobs)) {
      return may_be(ids, [](const JsonValue* list) { return is_list_of(list, is_integer); }) &&
             may_be(logprobs, [](const JsonValue* list) { return is_list_of(list, is_number); });
    }
    return is_list_of(ids, is_integer) && is_list_of(logprobs, is_number) &&
           ids->size() == logprobs->size();
  }

  bool read_action(const JsonValue* given, const JsonValue* calls, std::string_view& action) {
    if (is_absent(calls) || (is_array(calls) && calls->size() == 0)) {
      if (!is_text(given)) return false;
      action = given->text();
      return true;
    }
    if (num_called_ == called_.size()) called_.push_back(std::make_unique<std::string>());
    std::string& called = *called_[num_called_++];
    if (!read_calls(calls, canonical_, called)) return false;
    action = called;
    return is_absent(given) || (is_text(given) && given->text() == action);
  }

  void append_played(std::string_view task_id, double total_return) {
    TextTrajectories& played = read_.played;
    const std::size_t size = played.action_id.size();
    played.action_id.resize(size + actions_.size());
    played.observation_id.resize(size + actions_.size());
    played.actions.intern(actions_, played.action_id.data() + size);
    played.observations.intern(observations_, played.observation_id.data() + size);
    played.step_offset.push_back(static_cast<std::int64_t>(played.action_id.size()));
    played.tree_id.push_back(played.task_ids.intern(task_id));
    played.total_return.push_back(total_return);
    read_.prompt_id.push_back(prompts_.intern(prompt_.view()));
  }

  JsonParser parser_;
  CanonicalObjects canonical_;
  JsonTrajectories read_;
  Interner keys_;
  Interner prompts_;
  std::int32_t num_blocks_ = 0;
  std::int64_t line_ = 0;

  // Of the record at hand.
  Bytes prompt_;
  Bytes key_;
  std::vector<std::string_view> actions_;
  std::vector<std::string_view> observations_;
  std::vector<std::uint64_t> said_;
  std::vector<std::unique_ptr<std::string>> called_;  // actions made of tool calls
  std::size_t num_called_ = 0;
};

JsonTrajectoryReader::JsonTrajectoryReader() : lines_(std::make_unique<Lines>()) {}
JsonTrajectoryReader::~JsonTrajectoryReader() = default;

void JsonTrajectoryReader::begin_file() {
  lines_->begin_file();
}

bool JsonTrajectoryReader::append(std::string_view block) {
  return lines_->append(block);
}

JsonTrajectories JsonTrajectoryReader::finish() && {
  return std::move(*lines_).finish();
}

}  // namespace w2stree
