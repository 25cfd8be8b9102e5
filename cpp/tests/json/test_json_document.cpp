#include <bit>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "json/json_document.hpp"
#include "json/json_values.hpp"
#include "support/check.hpp"

namespace w2stree::test {
namespace {

bool is_json(std::string_view text) {
  JsonParser parser;
  return parser.parse(text) != nullptr;
}

std::string text_in(std::string_view text) {
  JsonParser parser;
  const JsonValue* value = parser.parse(text);
  CHECK(value != nullptr && value->is_text());
  return value == nullptr ? "" : std::string(value->text());
}

double number_in(std::string_view text) {
  JsonParser parser;
  const JsonValue* value = parser.parse(text);
  CHECK(value != nullptr && (value->is_real() || value->is_integer()));
  return value == nullptr ? 0 : value->number();
}

void takes_json_to_the_letter() {
  for (const char* text : {"null", "true", "false", "0", "-1", "0.5", "1e3", "-0.0", "\"\"", "[]",
                           "{}", " [ ] ", "[1,2]", "{\"a\":1}", "\t{ \"a\" : [ null , { } ] }\r\n",
                           "9223372036854775807", "-9223372036854775808", "{\"a\":1,\"a\":2}"}) {
    CHECK(is_json(text));
  }
}

void refuses_all_else() {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "nulll",
                           "True",
                           "01",
                           "-",
                           "+1",
                           ".5",
                           "1.",
                           "1e",
                           "1e+",
                           "-01",
                           "0x1",
                           "NaN",
                           "Infinity",
                           "[",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{1:1}",
                           "{\"a\" 1}",
                           "{,}",
                           "]",
                           "}",
                           "\"",
                           "\"a",
                           "\"\\",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "\"\\u-123\"",
                           "\"\t\"",
                           "\"\n\"",
                           "'a'",
                           "1 2",
                           "[] []",
                           "[1]x",
                           "/**/1",
                           "\xef\xbb\xbf"
                           "1"}) {
    CHECK(!is_json(text));
  }
  CHECK(!is_json(std::string_view("1\0", 2)) && !is_json(std::string_view("\"\0\"", 3)));
}

void leaves_to_others_what_readers_differ_in() {
  for (const char* text :
       {"-0", "9223372036854775808", "123456789012345678901234567890", "\"\\ud800\"",
        "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\udc00\"", "\"\\ud800\\ud800\""}) {
    CHECK(!is_json(text));
  }
  CHECK(is_json(std::string(200, '[') + std::string(200, ']')));
  CHECK(!is_json(std::string(201, '[') + std::string(201, ']')));
  CHECK(!is_json(std::string(1'000'000, '[')));
}

void reads_utf8_as_unicode_has_it() {
  for (const char* text : {"\"\xc2\x80\"", "\"\xdf\xbf\"", "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"",
                           "\"\xee\x80\x80\"", "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\""}) {
    CHECK(is_json(text));
  }
  for (const char* text :
       {"\"\x80\"", "\"\xc0\x80\"", "\"\xc1\xbf\"", "\"\xc2\"", "\"\xc2", "\"\xe0\x9f\xbf\"",
        "\"\xed\xa0\x80\"", "\"\xe0\xa0\"", "\"\xf0\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"", "\"\xff\"", "\"\xf0\x90\x80\""}) {
    CHECK(!is_json(text));
  }
}

void reads_texts_of_every_length_around_a_word() {
  for (std::size_t before = 0; before < 20; ++before) {
    for (std::size_t after = 0; after < 20; ++after) {
      const std::string a(before, 'a');
      const std::string b(after, 'b');
      CHECK(text_in('"' + a + b + '"') == a + b);
      CHECK(text_in('"' + a + "\\n" + b + '"') == a + "\n" + b);
      CHECK(text_in('"' + a + "\xc3\xa9\\u00e9" + b + '"') == a + "\xc3\xa9\xc3\xa9" + b);
      CHECK(!is_json('"' + a + '\x1f' + b + '"') && !is_json('"' + a + "\x80" + b + '"'));
    }
  }
  CHECK(text_in(R"("\"\\\/\b\f\n\r\t\u0041\u00df\u6771\ud83d\ude00")") ==
        "\"\\/\b\f\n\r\tA\xc3\x9f\xe6\x9d\xb1\xf0\x9f\x98\x80");
  CHECK(text_in(R"("\u0000")") == std::string(1, '\0'));
}

void texts_with_escapes_stay_where_they_are() {
  std::string text = "[";
  for (int i = 0; i < 3'000; ++i) text += "\"\\n" + std::to_string(i) + "\",\"plain\",";
  text += "0]";
  JsonParser parser;
  const JsonValue* array = parser.parse(text);
  CHECK(array != nullptr && array->size() == 6'001);
  int i = 0;
  CHECK(for_each_item(*array, [&](const JsonValue& item) {
    if (!item.is_text()) return item.integer() == 0;
    const bool is_right = i % 2 == 1 || item.text() == "\n" + std::to_string(i / 2);
    ++i;
    return is_right;
  }));
}

void reads_numbers_exactly() {
  for (const char* text : {"0.1", "-2.5e-3", "1.7976931348623157e308", "5e-324", "123456789.125",
                           "0.30000000000000004", "1e22", "9007199254740993.0"}) {
    CHECK(std::bit_cast<std::uint64_t>(number_in(text)) ==
          std::bit_cast<std::uint64_t>(std::strtod(text, nullptr)));
  }
  CHECK(number_in("-17") == -17);
}

void walks_over_what_is_within() {
  JsonParser parser;
  const JsonValue* root = parser.parse(R"({"a":[1,[2,{"b":3}],"x"],"c":{},"d":null})");
  CHECK(root != nullptr && root->size() == 3);
  std::string seen;
  for_each_field(*root, [&](std::string_view key, const JsonValue& value) {
    seen.append(key).append(std::to_string(value.size()));
    return true;
  });
  CHECK(seen == "a3c0d0");
  CHECK(has_field(*root, "d") && !has_field(*root, "b"));
  CHECK(is_plain(*root));
}

void knows_the_one_form_of_an_object() {
  CanonicalObjects canonical;
  for (const char* text :
       {"{}", R"({"a":1})", R"({"a":[],"b":{"":null}})", R"({"a":[1,"\n",true,[false]]})",
        R"({"a":"\u001f\"\\/"})", "{\"\xc3\xa9\":\"\x7f\"}", R"({"A":1,"a":2})"}) {
    CHECK(canonical.has(text));
  }
  for (const char* text :
       {"[]", "1", "", R"({ "a":1})", R"({"b":1,"a":1})", R"({"a":1,"a":1})", R"({"a":1.5})",
        R"({"a":"\/"})", R"({"a":"\u0041"})", R"({"a":"\u001F"})", R"({"a":1} )", R"({"a":-0})"}) {
    CHECK(!canonical.has(text));
  }
}

// Whatever comes, it is read or refused; run under sanitizers.
void survives_damage() {
  const std::string whole =
      R"({"task_id":"t","steps":[{"action":"\ud83d\ude00 é","observation":"x\n","reward":-1.5e2}],"n":[]})";
  std::mt19937 random(7);
  JsonParser parser;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = whole.substr(0, random() % (whole.size() + 1));
    for (std::size_t k = random() % 4; k > 0 && !text.empty(); --k) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    if (const JsonValue* value = parser.parse(text)) is_plain(*value);
  }
  CHECK(parser.parse(whole) != nullptr);
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({takes_json_to_the_letter, refuses_all_else, leaves_to_others_what_readers_differ_in,
              reads_utf8_as_unicode_has_it, reads_texts_of_every_length_around_a_word,
              texts_with_escapes_stay_where_they_are, reads_numbers_exactly,
              walks_over_what_is_within, knows_the_one_form_of_an_object, survives_damage});
}
