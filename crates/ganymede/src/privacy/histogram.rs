//! Noisy histograms of single columns, and rows drawn from them.

use std::collections::BTreeMap;

use super::budget::Shares;
use super::secret::{Key, Stream};
use crate::error::{Error, Result};
use crate::random;
use crate::table::{Column, ColumnSchema, Kind, MISSING, Table, Values};

/// Whole numbers of at most so many values have a bin each.
const MOST_WHOLE: f64 = 128.0;
/// Bins of equal width of other numbers.
const BINS: usize = 64;

/// Noisy counts of one column, and what each bin stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bins: Bins,
    /// Of each bin, after that of missing cells; none is below 0.
    counts: Vec<f64>,
}

/// What the bins of a column stand for, all of it public.
#[derive(Debug, Clone, PartialEq)]
enum Bins {
    /// A word each.
    Words(Vec<String>),
    /// `n` bins of equal width in a range, after one of zeros alone if it holds zero.
    Numbers { low: f64, high: f64, n: usize, is_whole: bool, has_zero: bool, step: f64 },
}

impl Histogram {
    /// Whether words of a column are counted that its schema does not list.
    pub fn is_open(schema: &ColumnSchema) -> bool {
        matches!(schema.kind, Kind::Boolean | Kind::Category) && schema.categories.is_none()
    }

    /// Whether rows are counted in a column: all but identifiers.
    pub fn is_counted(schema: &ColumnSchema) -> bool {
        schema.kind != Kind::Identifier
    }

    /// Whether the schema says of a column all that must not be found in the data.
    ///
    /// # Errors
    /// [`Error::Config`] naming the column and what is missing.
    pub fn check(schema: &ColumnSchema) -> Result<()> {
        let wrong = |problem: &str, remedy: &str| Err(Error::config(format!("columns.{}", schema.name), problem, remedy));
        match schema.kind {
            Kind::Constant => wrong(
                "is constant: the value would be shown as it is",
                "leave the column out (leave_out = true), or make it a category and list its word in categories",
            ),
            Kind::Datetime if schema.format.is_none() => {
                wrong("has no format: finding it in the data would not be private", "give its format in the schema")
            }
            Kind::Integer | Kind::Real | Kind::Datetime if schema.range()?.iter().any(|v| !v.is_finite()) => wrong(
                "has no range: finding it in the data would not be private",
                "give min and max in the schema, as everybody may know them",
            ),
            _ => Ok(()),
        }
    }

    /// Counts with noise. Words that the schema does not list are there if they pass the threshold.
    fn count(values: &Values, schema: &ColumnSchema, shares: &Shares, stream: &mut Stream) -> Result<Self> {
        let noise = shares.histogram_noise;
        let mut noisy = |count: f64| count + noise * stream.normals()[0];
        let n_missing = (0..values.len()).filter(|row| values.is_missing(*row)).count() as f64;
        // A column without missing cells should have none.
        let missing = Some(noisy(n_missing)).filter(|count| *count >= 2.0 * noise).unwrap_or(0.0);
        let mut counts = vec![missing];
        let bins = match (schema.kind, values) {
            (Kind::Boolean | Kind::Category, Values::Categories { codes, words }) => {
                let mut exact: BTreeMap<&str, f64> = BTreeMap::new();
                codes.iter().filter_map(|code| words.get(*code as usize)).for_each(|word| *exact.entry(word).or_default() += 1.0);
                let kept: Vec<(String, f64)> = match &schema.categories {
                    Some(listed) => {
                        let of = |word: &String| exact.get(word.as_str()).copied().unwrap_or(0.0);
                        listed.iter().map(|word| (word.clone(), noisy(of(word)).max(0.0))).collect()
                    }
                    // By the alphabet: their order in the table says something of its rows.
                    None => {
                        let counted = exact.into_iter().map(|(word, count)| (word.to_owned(), noisy(count)));
                        counted.filter(|(_, count)| *count > shares.word_threshold).collect()
                    }
                };
                counts.extend(kept.iter().map(|(_, count)| *count));
                Bins::Words(kept.into_iter().map(|(word, _)| word).collect())
            }
            (Kind::Integer | Kind::Real | Kind::Datetime, Values::Numbers(values)) => {
                let bins = Bins::of_numbers(schema)?;
                let mut exact = vec![0.0; bins.len()];
                values.iter().filter(|v| !v.is_nan()).for_each(|v| exact[bins.place(*v)] += 1.0);
                // Empty bins would otherwise hold half of the noise.
                counts.extend(exact.into_iter().map(|count| Some(noisy(count)).filter(|count| *count >= noise).unwrap_or(0.0)));
                bins
            }
            (kind, _) => {
                let problem = format!("is {} in the schema, but the table holds something else", kind.name());
                return Err(Error::config(format!("columns.{}", schema.name), problem, "mend the schema"));
            }
        };
        Ok(Self { bins, counts })
    }

    /// `n` values drawn from the histogram.
    fn draw(&self, n: usize, (seed, column): (u64, u64)) -> Values {
        let total: f64 = self.counts.iter().sum();
        let mut sum = 0.0;
        let upto: Vec<f64> = self
            .counts
            .iter()
            .map(|count| {
                sum += count;
                sum
            })
            .collect();
        let mut rng = random::stream(seed, "surrogate", column);
        let draws = random::uniform(2 * n, &mut rng);
        let drawn = draws.chunks_exact(2).map(|pair| {
            let n_bins = self.counts.len();
            // Where the noise left nothing, every bin but that of missing cells is as likely.
            let bin = if total > 0.0 {
                upto.partition_point(|upto| *upto <= f64::from(pair[0]) * total).min(n_bins - 1)
            } else if n_bins > 1 {
                1 + (f64::from(pair[0]) * (n_bins - 1) as f64) as usize
            } else {
                0
            };
            (bin, f64::from(pair[1]))
        });
        match &self.bins {
            Bins::Words(words) => {
                let codes = drawn.map(|(bin, _)| if bin == 0 { MISSING } else { bin as u32 - 1 }).collect();
                Values::Categories { codes, words: words.clone() }
            }
            bins => Values::Numbers(drawn.map(|(bin, within)| if bin == 0 { f64::NAN } else { bins.value(bin - 1, within) }).collect()),
        }
    }
}

impl Bins {
    fn of_numbers(schema: &ColumnSchema) -> Result<Self> {
        let [low, high] = schema.range()?;
        let step = match schema.kind {
            Kind::Datetime => schema.moment_format()?.step(),
            _ => schema.rounding().map_or(0.0, |digits| 10f64.powi(-i32::from(digits))),
        };
        let n_whole = high.floor() - low.ceil() + 1.0;
        let is_whole = schema.kind == Kind::Integer && (1.0..=MOST_WHOLE).contains(&n_whole);
        if is_whole {
            return Ok(Self::Numbers { low: low.ceil(), high: high.floor(), n: n_whole as usize, is_whole, has_zero: false, step });
        }
        Ok(Self::Numbers { low, high, n: BINS, is_whole, has_zero: schema.kind != Kind::Datetime && low <= 0.0 && high >= 0.0, step })
    }

    fn len(&self) -> usize {
        match self {
            Self::Words(words) => words.len(),
            Self::Numbers { n, has_zero, .. } => n + usize::from(*has_zero),
        }
    }

    /// The bin of a number; of one out of range, the nearest.
    fn place(&self, value: f64) -> usize {
        let Self::Numbers { low, high, n, is_whole, has_zero, .. } = self else { return 0 };
        let value = value.clamp(*low, *high);
        if *has_zero && value == 0.0 {
            return *n;
        }
        let width = if *is_whole { 1.0 } else { (high - low) / *n as f64 };
        (((value - low) / width.max(f64::MIN_POSITIVE)) as usize).min(n - 1)
    }

    /// The number that lies at `within` [0, 1) of a bin, rounded to what the column holds.
    fn value(&self, bin: usize, within: f64) -> f64 {
        let Self::Numbers { low, high, n, is_whole, step, .. } = self else { return f64::NAN };
        if bin >= *n {
            return 0.0;
        }
        if *is_whole {
            return low + bin as f64;
        }
        let value = low + (high - low) * (bin as f64 + within) / *n as f64;
        if *step > 0.0 { ((value / step).round() * step).clamp(*low, *high) } else { value }
    }
}

/// A table of `n` rows whose columns are drawn from noisy histograms of those of `table`, each by itself: what is learned from it costs nothing further. Identifiers are words that mean nothing.
///
/// `schema` holds what is public, by column of the table; nothing is found in the data that it does not say. `seed` is public too.
///
/// # Errors
/// As [`Histogram::check`], and [`Error::Config`] if a column is of another kind, or if none of its words is held by enough rows.
pub fn surrogate(table: &Table, schema: &[ColumnSchema], (shares, key): (&Shares, &Key), (n, seed): (usize, u64)) -> Result<Table> {
    let one = |(i, (column, schema)): (usize, (&Column, &ColumnSchema))| {
        if !Histogram::is_counted(schema) {
            return Ok(Column { name: column.name.clone(), values: Values::Categories { codes: vec![0; n], words: vec!["x".to_owned()] } });
        }
        Histogram::check(schema)?;
        let histogram = Histogram::count(&column.values, schema, shares, &mut key.stream("histogram", i as u64))?;
        if histogram.bins.len() == 0 {
            let problem =
                format!("no word is in so many rows that it may be shown: more than about {:.0} are needed", shares.word_threshold);
            let remedy = "list its words in the schema (categories = [...]), leave it out, or set privacy.epsilon higher";
            return Err(Error::config(format!("columns.{}", schema.name), problem, remedy));
        }
        Ok(Column { name: column.name.clone(), values: histogram.draw(n, (seed, i as u64)) })
    };
    Ok(Table { columns: table.columns.iter().zip(schema).enumerate().map(one).collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::Budget;
    use crate::table::Schema;

    fn example(n: usize) -> Table {
        let words = ["a", "b", "rare"].map(str::to_owned).to_vec();
        let codes: Vec<u32> = (0..n)
            .map(|i| {
                if i == 5 {
                    2
                } else if i % 10 == 0 {
                    MISSING
                } else {
                    u32::from(i % 3 == 0)
                }
            })
            .collect();
        let ages = (0..n).map(|i| 20.0 + (i % 10) as f64).collect();
        let gains = (0..n).map(|i| if i % 4 == 0 { 5000.0 } else { 0.0 }).collect();
        let columns = [("word", Values::Categories { codes, words }), ("age", Values::Numbers(ages)), ("gain", Values::Numbers(gains))];
        Table { columns: columns.into_iter().map(|(name, values)| Column { name: name.into(), values }).collect() }
    }

    fn schema(word: &str) -> Vec<ColumnSchema> {
        let text = format!(
            "[[columns]]\nname = \"word\"\nkind = \"category\"\n{word}\n[[columns]]\nname = \"age\"\nkind = \"integer\"\nmin = 0\nmax = 99\n\
             [[columns]]\nname = \"gain\"\nkind = \"real\"\nmin = 0\nmax = 9999.5\ndecimals = 1\n"
        );
        Schema::from_toml(&text).unwrap().columns
    }

    fn shares() -> Shares {
        Budget { epsilon: 20.0, delta: 1e-5, histograms: 0.5 }.shares(3, 1).unwrap()
    }

    #[test]
    fn columns_keep_their_shares_and_rare_words_are_not_shown() {
        let (table, key) = (example(20_000), Key::of([3; 32]));
        let drawn = surrogate(&table, &schema(""), (&shares(), &key), (10_000, 1)).unwrap();
        let share = |column: usize, of: &dyn Fn(&Values, usize) -> bool| {
            (0..10_000).filter(|row| of(&drawn.columns[column].values, *row)).count() as f64 / 1e4
        };
        assert!((share(0, &|v, row| v.is_missing(row)) - 0.1).abs() < 0.02);
        assert!((share(0, &|v, row| v.word(row) == Some("b")) - 0.3).abs() < 0.03);
        assert_eq!(share(0, &|v, row| v.word(row) == Some("rare")), 0.0);
        assert!((share(1, &|v, row| v.number(row) == Some(23.0)) - 0.1).abs() < 0.02);
        assert!(share(1, &|v, row| v.number(row).is_some_and(|v| (20.0..30.0).contains(&v))) > 0.98);
        assert!((share(2, &|v, row| v.number(row) == Some(0.0)) - 0.75).abs() < 0.02);
        assert!((share(2, &|v, row| v.number(row).is_some_and(|v| (4800.0..5300.0).contains(&v))) - 0.25).abs() < 0.02);
        // Listed words may be shown, and only those.
        let listed = schema("categories = [\"a\", \"zebra\"]");
        let drawn = surrogate(&table, &listed, (&shares(), &key), (1000, 1)).unwrap();
        let Values::Categories { words, .. } = &drawn.columns[0].values else { panic!("words") };
        assert_eq!(words, &["a", "zebra"]);
    }

    #[test]
    fn counts_have_the_stated_noise() {
        let (table, shares) = (example(1000), shares());
        let schema = &schema("")[1];
        let one = |i: u64| {
            let mut stream = Key::of([9; 32]).stream("test", i);
            Histogram::count(&table.columns[1].values, schema, &shares, &mut stream).unwrap().counts[1 + 23]
        };
        let counts: Vec<f64> = (0..2000).map(one).collect();
        let mean = counts.iter().sum::<f64>() / 2000.0;
        let deviation = (counts.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2000.0).sqrt();
        assert!((mean - 100.0).abs() < 0.1 * shares.histogram_noise, "{mean}");
        assert!((deviation / shares.histogram_noise - 1.0).abs() < 0.06, "{deviation} {}", shares.histogram_noise);
    }

    #[test]
    fn what_the_schema_must_say_is_asked_for() {
        let wrong = |text: &str| {
            let columns = Schema::from_toml(&format!("[[columns]]\nname = \"x\"\n{text}")).unwrap().columns;
            Histogram::check(&columns[0]).unwrap_err().to_string()
        };
        assert!(
            wrong("kind = \"integer\"\nmin = 3").contains("columns.x: has no range")
                && wrong("kind = \"real\"").contains("give min and max")
        );
        assert!(wrong("kind = \"datetime\"").contains("format") && wrong("kind = \"constant\"").contains("leave_out"));
        let few = surrogate(&example(30), &schema(""), (&shares(), &Key::of([1; 32])), (30, 1)).map(|_| ());
        assert!(few.is_err() || shares().word_threshold < 20.0);
    }
}
