#include "webhooks/base64.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace gobuildenv::webhooks {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The two characters of each twelve bits: one look-up instead of two.
constexpr auto kPairs = [] {
  std::array<std::array<char, 2>, 4096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = {kAlphabet[i >> 6U], kAlphabet[i & 63U]};
  }
  return pairs;
}();

void put_pair(char* to, std::uint32_t bits) { std::memcpy(to, kPairs[bits & 0xFFFU].data(), 2); }

#ifdef __x86_64__
/// Encodes 24 bytes to 32 characters as often as 28 can be read; how many bytes that were.
/// Each half of a vector takes twelve bytes, each of its 32-bit lanes three.
__attribute__((target("avx2"))) std::size_t encode_vectors(char* to, const char* from,
                                                           std::size_t size) {
  // Within a lane: second, first, third, second byte, so that shifts of 16 bits find each six.
  const __m256i spread = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10,  //
                                          1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
  // What to add to a value to get its character, by class: a-z, each digit, +, /, A-Z.
  const __m256i offsets =
      _mm256_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                       '0' - 52, '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0,  //
                       'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                       '0' - 52, '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
  std::size_t done = 0;
  for (; done + 28 <= size; done += 24, to += 32) {
    __m128i low;
    __m128i high;
    std::memcpy(&low, from + done, sizeof low);
    std::memcpy(&high, from + done + 12, sizeof high);
    const __m256i lanes = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), spread);
    const __m256i first_and_third = _mm256_mulhi_epu16(
        _mm256_and_si256(lanes, _mm256_set1_epi32(0x0FC0FC00)), _mm256_set1_epi32(0x04000040));
    const __m256i second_and_fourth = _mm256_mullo_epi16(
        _mm256_and_si256(lanes, _mm256_set1_epi32(0x003F03F0)), _mm256_set1_epi32(0x01000010));
    const __m256i values = _mm256_or_si256(first_and_third, second_and_fourth);
    // Class 0 for up to 51, then 1 to 12; 13 instead of 0 for those below 26.
    const __m256i upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), values);
    const __m256i classes = _mm256_or_si256(_mm256_subs_epu8(values, _mm256_set1_epi8(51)),
                                            _mm256_and_si256(upper, _mm256_set1_epi8(13)));
    const __m256i text = _mm256_add_epi8(values, _mm256_shuffle_epi8(offsets, classes));
    std::memcpy(to, &text, sizeof text);
  }
  return done;
}

const bool kHasVectors = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  const std::size_t begin = out.size();
  out.resize(begin + (bytes.size() + 2) / 3 * 4, '=');
  char* to = out.data() + begin;
  const auto byte = [bytes](std::size_t i) {
    return std::uint32_t{static_cast<unsigned char>(bytes[i])};
  };
  std::size_t i = 0;
#ifdef __x86_64__
  if (kHasVectors) {
    i = encode_vectors(to, bytes.data(), bytes.size());
    to += i / 3 * 4;
  }
#endif
  for (; i + 3 <= bytes.size(); i += 3, to += 4) {
    const std::uint32_t bits = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    put_pair(to, bits >> 12U);
    put_pair(to + 2, bits);
  }
  if (bytes.size() - i == 1) put_pair(to, byte(i) << 4U);
  if (bytes.size() - i == 2) {
    put_pair(to, byte(i) << 4U | byte(i + 1) >> 4U);
    to[2] = kPairs[(byte(i + 1) & 0xFU) << 8U][0];
  }
}

}  // namespace gobuildenv::webhooks
