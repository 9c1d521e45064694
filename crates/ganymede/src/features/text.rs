//! From texts to vectors: a tokenizer and an embedding, both learned from captions.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tokenizers::decoders::bpe::BPEDecoder;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder, Vocab};
use tokenizers::normalizers::{Lowercase, NFKC, Sequence};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{TokenizerBuilder, TokenizerImpl};

/// Tokens at most.
const MOST_TOKENS: usize = 8192;
/// Pairs of tokens that occur less often than this are not joined.
const FEWEST: u64 = 2;
/// Characters of a token that is learned, at most: a longer word is cut, so that any vocabulary of ours is believed again.
const LONGEST_LEARNED: usize = 64;
/// Longest token that is believed of a stored vocabulary.
const LONGEST: usize = 400;

type Bpe = TokenizerImpl<BPE, Sequence, BertPreTokenizer, TemplateProcessing, BPEDecoder>;

/// Cuts texts into words and frequent parts of words: byte-pair encoding (Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016), in lower case.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Bpe,
    vocabulary: Vocabulary,
}

/// What a tokenizer is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    /// The tokens in order of their number.
    pub tokens: Vec<String>,
    /// Pairs of tokens that are joined, the most frequent first.
    pub merges: Vec<(String, String)>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer of {} tokens", self.vocabulary.tokens.len())
    }
}

fn around(model: BPE) -> Result<Bpe, String> {
    TokenizerBuilder::new()
        .with_model(model)
        .with_normalizer(Some(Sequence::new(vec![NFKC.into(), Lowercase.into()])))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(None)
        .with_decoder(None)
        .build()
        .map_err(|e| e.to_string())
}

impl Tokenizer {
    /// Learns the tokens of texts.
    ///
    /// # Errors
    /// In words, if the texts hold nothing to learn from.
    pub fn learn<'a>(texts: impl Iterator<Item = &'a str> + Send) -> Result<Self, String> {
        let mut trainer = BpeTrainerBuilder::new()
            .vocab_size(MOST_TOKENS)
            .min_frequency(FEWEST)
            .max_token_length(Some(LONGEST_LEARNED))
            .show_progress(false)
            .build();
        let mut inner = around(BPE::default())?;
        inner.train(&mut trainer, texts.map(str::to_owned)).map_err(|e| e.to_string())?;
        let model = inner.get_model();
        let mut numbered: Vec<(String, u32)> = model.get_vocab().into_iter().collect();
        numbered.sort_by_key(|(_, number)| *number);
        let tokens = numbered.into_iter().map(|(token, _)| token).collect();
        let stored = serde_json::to_value(model).map_err(|e| e.to_string())?;
        let merges = stored.get("merges").cloned().ok_or("the tokenizer has no merges")?;
        let merges = serde_json::from_value(merges).map_err(|e| e.to_string())?;
        Self::read(Vocabulary { tokens, merges })
    }

    /// From what [`Tokenizer::vocabulary`] gave; nothing of it is trusted.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn read(vocabulary: Vocabulary) -> Result<Self, String> {
        let Vocabulary { tokens, merges } = &vocabulary;
        let fits = tokens.len() <= 2 * MOST_TOKENS && merges.len() <= 2 * MOST_TOKENS && tokens.iter().all(|token| token.len() <= LONGEST);
        if tokens.is_empty() || !fits {
            return Err("no vocabulary of ours".into());
        }
        let numbers: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
        if numbers.len() != tokens.len() {
            return Err("a token occurs twice in the vocabulary".into());
        }
        // Its own check looks pairs up without a guard.
        let joined =
            |(a, b): &(String, String)| numbers.contains_key(a) && numbers.contains_key(b) && numbers.contains_key(&format!("{a}{b}"));
        if !merges.iter().all(joined) {
            return Err("a pair of tokens is joined to one that is not in the vocabulary".into());
        }
        let model = BPE::builder().vocab_and_merges(numbers.into_iter().collect::<Vocab>(), merges.clone()).build();
        let inner = around(model.map_err(|e| e.to_string())?)?;
        Ok(Self { inner, vocabulary })
    }

    /// What it is made of.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// How many tokens there are.
    pub fn n_tokens(&self) -> usize {
        self.vocabulary.tokens.len()
    }

    /// Numbers of the tokens of a text, in its order; what is not in the vocabulary is passed over, and so are single letters into which an unknown word falls apart. Signs
    /// of scripts in which one of them is a word or a syllable stay.
    pub fn tokens(&self, text: &str) -> Vec<usize> {
        let Ok(encoding) = self.inner.encode(text, false) else { return Vec::new() };
        let words = encoding.get_word_ids();
        // Tokens of a word stand next to each other.
        let is_whole = |i: usize| (i == 0 || words[i - 1] != words[i]) && words.get(i + 1) != Some(&words[i]);
        let is_letter = |id: usize| self.vocabulary.tokens.get(id).is_some_and(|token| is_letter(token));
        let ids = encoding.get_ids().iter().map(|id| *id as usize).enumerate();
        ids.filter(|(i, id)| is_whole(*i) || !is_letter(*id)).map(|(_, id)| id).collect()
    }
}

/// Whether a token is one character that says nothing by itself.
fn is_letter(token: &str) -> bool {
    let mut characters = token.chars();
    let (Some(one), None) = (characters.next(), characters.next()) else { return false };
    // Ideographs, kana and hangul syllables.
    let is_sign = matches!(one, '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
        || matches!(one, '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    one.is_ascii() || (one.is_alphabetic() && !is_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 6] = ["red apple", "Red book!", "green apple", "GREEN Book", "赤いりんご", "赤い本"];

    fn learned() -> Tokenizer {
        Tokenizer::learn(TEXTS.into_iter()).unwrap()
    }

    #[test]
    fn frequent_words_are_one_token_whatever_their_case() {
        let tokenizer = learned();
        let of = |text: &str| tokenizer.tokens(text);
        assert_eq!(of("red").len(), 1);
        assert_eq!(of("Red APPLE"), [of("red"), of("apple")].concat());
        assert_eq!(of("赤い").len(), 1);
        assert!(of("xyz").is_empty() && of("").is_empty());
    }

    #[test]
    fn the_same_texts_give_the_same_tokenizer_and_it_comes_back() {
        let (one, two) = (learned(), learned());
        assert_eq!(one.vocabulary(), two.vocabulary());
        let stored = serde_json::to_string(one.vocabulary()).unwrap();
        let back = Tokenizer::read(serde_json::from_str(&stored).unwrap()).unwrap();
        for text in TEXTS {
            assert_eq!(one.tokens(text), back.tokens(text), "{text}");
        }
    }

    #[test]
    fn letters_of_unknown_words_are_passed_over_in_every_script() {
        let tokenizer = Tokenizer::learn(["красный кот", "красный дом", "赤本", "赤本", "я и ты"].into_iter()).unwrap();
        assert_eq!(tokenizer.tokens("красный").len(), 1);
        assert!(tokenizer.tokens("йыд").is_empty(), "{:?}", tokenizer.vocabulary());
        assert_eq!(tokenizer.tokens("я").len(), 1, "a word of one letter is a word");
        assert_eq!(tokenizer.tokens("本赤").len(), 2);
    }

    #[test]
    fn words_of_any_length_make_a_vocabulary_that_is_believed() {
        let long = "x".repeat(1000);
        let tokenizer = Tokenizer::learn([long.as_str(), long.as_str(), "red", "red"].into_iter()).unwrap();
        assert!(Tokenizer::read(tokenizer.vocabulary().clone()).is_ok() && !tokenizer.tokens(&long).is_empty());
    }

    #[test]
    fn damaged_vocabularies_are_refused() {
        let good = learned().vocabulary().clone();
        let refused = |change: &dyn Fn(&mut Vocabulary)| {
            let mut other = good.clone();
            change(&mut other);
            Tokenizer::read(other).is_err()
        };
        assert!(refused(&|v| v.tokens.clear()) && refused(&|v| v.tokens[1] = v.tokens[0].clone()));
        assert!(refused(&|v| v.merges[0].0 = "nowhere".into()) && refused(&|v| v.tokens[0] = "x".repeat(1000)));
    }
}
