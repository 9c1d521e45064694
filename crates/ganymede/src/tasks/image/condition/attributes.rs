//! A value for each of several attributes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Asked, example, some, unit};
use crate::config::nearest;
use crate::data::{AttributeTable, number};
use crate::error::{Error, Result};
use crate::losses::{Auxiliary, Part};
use crate::table::is_mark;
use crate::train::SampleId;

/// A column of numbers with at most so many different ones is taken as categories.
const FEW: usize = 12;
/// Different values of an attribute at most.
const MOST_VALUES: usize = 1000;
/// What an empty cell is called.
const NONE: &str = "none";

/// Several attributes, and what combinations of them pictures had.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    list: Vec<Attribute>,
    /// Values of some training pictures: the position of a category, or a number; nothing where it is unknown.
    examples: Vec<Vec<Option<f32>>>,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// What values it has.
    pub values: Values,
}

/// The values of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Values {
    /// One of these words.
    Categories(Vec<String>),
    /// A number.
    Number {
        /// Of the training pictures.
        mean: f64,
        /// Of the training pictures.
        deviation: f64,
        /// Smallest of the training pictures.
        low: f64,
        /// Largest of the training pictures.
        high: f64,
    },
}

impl std::fmt::Display for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 30;
        match self {
            Self::Categories(words) => {
                write!(f, "{}", words.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))?;
                if words.len() > SHOWN { write!(f, " and {} more", words.len() - SHOWN) } else { Ok(()) }
            }
            Self::Number { low, high, .. } => write!(f, "a number from {low} to {high}"),
        }
    }
}

impl Values {
    /// Places in a vector.
    pub fn width(&self) -> usize {
        match self {
            Self::Categories(words) => words.len(),
            Self::Number { .. } => 1,
        }
    }

    fn of(cells: &[&str]) -> Self {
        let numbers: Option<Vec<f64>> = cells.iter().filter(|cell| !is_mark(cell)).map(|cell| number(cell)).collect();
        let numbers = numbers.filter(|numbers| !numbers.is_empty());
        // Among numbers, a mark such as NA says that the value is not known; among words it may be one.
        let is_word = |cell: &&str| cell.is_empty() || numbers.is_none() || !is_mark(cell);
        let words: BTreeSet<&str> = cells.iter().copied().filter(is_word).collect();
        match numbers {
            Some(numbers) if words.len() > FEW => {
                let n = numbers.len() as f64;
                let mean = numbers.iter().sum::<f64>() / n;
                let deviation = (numbers.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt().max(f64::MIN_POSITIVE);
                let (low, high) = numbers.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
                Self::Number { mean, deviation, low, high }
            }
            _ => Self::Categories(words.into_iter().map(|word| if word.is_empty() { NONE.to_owned() } else { word.to_owned() }).collect()),
        }
    }

    /// What a cell says: the position of a category, or a number.
    fn read(&self, cell: &str) -> Option<f32> {
        match self {
            Self::Categories(words) => {
                let cell = if cell.is_empty() { NONE } else { cell };
                words.iter().position(|word| word == cell).map(|i| i as f32)
            }
            Self::Number { .. } => number(cell).map(|v| v as f32),
        }
    }

    fn say(&self, value: f32) -> String {
        match self {
            Self::Categories(words) => words.get(value as usize).cloned().unwrap_or_default(),
            Self::Number { .. } => value.to_string(),
        }
    }
}

/// Names and values of conditions `NAME=VALUE`.
///
/// # Errors
/// [`Error::Config`] for any other text, or two conditions on one attribute.
pub fn pairs(texts: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(Error::config("--where", format!("cannot read \"{text}\""), "write NAME=VALUE, for example --where glasses=dark01")),
    };
    let pairs: Vec<(String, String)> = texts.iter().map(pair).collect::<Result<_>>()?;
    let twice = pairs.iter().enumerate().find(|(i, (name, _))| pairs[..*i].iter().any(|(before, _)| before == name));
    match twice {
        Some((_, (name, _))) => {
            Err(Error::config("--where", format!("{name} is asked for twice"), "give one value for each attribute; a picture has no other"))
        }
        None => Ok(pairs),
    }
}

impl Attributes {
    /// The columns of that names, or all, and the vector of each picture, whose row of the table `of_picture` says.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is not there, or a column with too many different values.
    pub fn learn(table: &AttributeTable, of_picture: &[usize], names: &[String], training: &[usize]) -> Result<(Self, Vec<Vec<f32>>)> {
        let column = |name: &String| {
            table.names.iter().position(|n| n == name).ok_or_else(|| {
                let near = nearest(name, table.names.iter().map(String::as_str)).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
                Error::config(
                    "data.attributes",
                    format!("labels.csv has no column \"{name}\""),
                    format!("{near}it has: {}", table.names.join(", ")),
                )
            })
        };
        let columns: Vec<usize> =
            if names.is_empty() { (0..table.names.len()).collect() } else { names.iter().map(column).collect::<Result<_>>()? };
        let row = |picture: usize| table.rows.get(of_picture[picture]).and_then(Option::as_ref);
        let mut list = Vec::new();
        for column in &columns {
            let cells: Vec<&str> = training.iter().filter_map(|i| Some(row(*i)?[*column].as_str())).collect();
            let (name, values) = (table.names[*column].clone(), Values::of(&cells));
            if values.width() > MOST_VALUES {
                let problem = format!("column \"{name}\" has {} different values; at most {MOST_VALUES} can be learned", values.width());
                return Err(Error::config("data.attributes", problem, "name the columns to learn, without this one"));
            }
            list.push(Attribute { name, values });
        }
        let mut own = Self { list, examples: Vec::new() };
        own.examples = some(training).into_iter().map(|picture| own.read_row(table, of_picture[picture])).collect();
        let rows = of_picture.iter().map(|row| own.row(&own.read_row(table, *row))).collect();
        Ok((own, rows))
    }

    /// What a row of a table says of each attribute: the position of a category, or a number; nothing where it says none that is known.
    pub fn read_row(&self, table: &AttributeTable, row: usize) -> Vec<Option<f32>> {
        let cells = table.rows.get(row).and_then(Option::as_ref);
        let column = |attribute: &Attribute| table.names.iter().position(|name| *name == attribute.name);
        self.list.iter().map(|attribute| attribute.values.read(&cells?[column(attribute)?])).collect()
    }

    /// What a row of a table holds of each attribute, name and cell; nothing for a picture that the table does not name.
    pub fn texts<'a>(&'a self, table: &'a AttributeTable, row: usize) -> Vec<&'a str> {
        let Some(cells) = table.rows.get(row).and_then(Option::as_ref) else { return Vec::new() };
        let column = |attribute: &Attribute| table.names.iter().position(|name| *name == attribute.name);
        let said = |attribute: &'a Attribute| Some([attribute.name.as_str(), cells[column(attribute)?].as_str()]);
        self.list.iter().filter_map(said).flatten().collect()
    }

    /// Refuses what no model of ours says.
    ///
    /// # Errors
    /// In words.
    pub fn checked(self) -> Result<Self, String> {
        let fits = |(attribute, cell): (&Attribute, &Option<f32>)| match (&attribute.values, cell) {
            (_, None) => true,
            (Values::Categories(words), Some(v)) => *v >= 0.0 && (*v as usize) < words.len(),
            (Values::Number { .. }, Some(v)) => v.is_finite(),
        };
        let is_number = |attribute: &Attribute| match attribute.values {
            Values::Number { mean, deviation, low, high } => {
                [mean, low, high].iter().all(|v| v.is_finite()) && deviation > 0.0 && low <= high
            }
            Values::Categories(ref words) => !words.is_empty(),
        };
        let good = self.examples.iter().all(|row| row.len() == self.list.len() && self.list.iter().zip(row).all(fits));
        if self.list.is_empty() || self.examples.is_empty() || !good || !self.list.iter().all(is_number) {
            return Err("attributes and their examples do not fit together".into());
        }
        Ok(self)
    }

    /// The attributes.
    pub fn list(&self) -> &[Attribute] {
        &self.list
    }

    /// Their names, for people.
    pub fn names(&self) -> String {
        self.list.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.list.iter().map(|a| a.values.width()).sum()
    }

    /// For each attribute a one at its category, or the number in standard deviations from the mean, at most 3; nothing where it is unknown.
    fn row(&self, cells: &[Option<f32>]) -> Vec<f32> {
        let mut row = Vec::with_capacity(self.width());
        for (attribute, cell) in self.list.iter().zip(cells) {
            match &attribute.values {
                Values::Categories(words) => row.extend((0..words.len()).map(|i| f32::from(u8::from(*cell == Some(i as f32))))),
                Values::Number { mean, deviation, .. } => {
                    row.push(cell.map_or(0.0, |v| ((f64::from(v) - mean) / deviation).clamp(-3.0, 3.0) as f32));
                }
            }
        }
        let scale = self.scale() as f32;
        if self.list.len() == 1 && matches!(self.list[0].values, Values::Categories(_)) {
            return unit(row);
        }
        row.iter_mut().for_each(|v| *v *= scale);
        row
    }

    /// What a vector's ones and standard deviations are multiplied by: by the number of attributes, so that one of them counts the same whatever the others are.
    fn scale(&self) -> f64 {
        (self.list.len() as f64).sqrt().recip()
    }

    /// How vectors are read off pictures.
    pub fn auxiliary(&self) -> Auxiliary {
        let mut at = 0;
        let part = |attribute: &Attribute| {
            let from = at;
            at += attribute.values.width();
            match attribute.values {
                Values::Categories(_) => Part::Category(from..at),
                Values::Number { .. } => Part::Number(from),
            }
        };
        Auxiliary::Parts { parts: self.list.iter().map(part).collect(), scale: self.scale() }
    }

    /// The cells of each of some vectors, as positions and numbers: what [`Attributes::ask`] asked for.
    pub fn cells(&self, row: &[f32]) -> Vec<Option<f32>> {
        let scale = self.scale().recip() as f32;
        let mut at = 0;
        let cell = |attribute: &Attribute| {
            let own = &row[at..at + attribute.values.width()];
            at += own.len();
            match &attribute.values {
                Values::Categories(_) => own.iter().position(|v| *v > 0.0).map(|i| i as f32),
                Values::Number { mean, deviation, .. } => Some((f64::from(own[0] * scale) * deviation + mean) as f32),
            }
        };
        self.list.iter().map(cell).collect()
    }

    /// Samples with those values: each takes the rest from a training picture that has them, or, where none has them all, from any.
    ///
    /// # Errors
    /// [`Error::Config`] for an attribute or value that is not known.
    pub fn ask(&self, values: &[(String, String)], ids: &[SampleId]) -> Result<Asked> {
        let mut wanted = vec![None; self.list.len()];
        for (name, value) in values {
            let (i, value) = self.read(name, value)?;
            wanted[i] = Some(value);
        }
        let is_number = |i: usize| matches!(self.list[i].values, Values::Number { .. });
        let has = |row: &&Vec<Option<f32>>| wanted.iter().enumerate().all(|(i, want)| want.is_none() || is_number(i) || row[i] == *want);
        let fitting: Vec<&Vec<Option<f32>>> = self.examples.iter().filter(has).collect();
        let from = if fitting.is_empty() { self.examples.iter().collect() } else { fitting };
        let cells = |id: &SampleId| -> Vec<Option<f32>> {
            from[example(id, from.len())].iter().zip(&wanted).map(|(own, want)| want.or(*own)).collect()
        };
        let cells: Vec<Vec<Option<f32>>> = ids.iter().map(cells).collect();
        Ok(Asked {
            rows: cells.iter().map(|cells| self.row(cells)).collect(),
            words: cells.iter().map(|cells| self.words(cells)).collect(),
            classes: vec![0; ids.len()],
        })
    }

    fn words(&self, cells: &[Option<f32>]) -> String {
        let word = |(attribute, cell): (&Attribute, &Option<f32>)| cell.map(|v| format!("{}={}", attribute.name, attribute.values.say(v)));
        self.list.iter().zip(cells).filter_map(word).collect::<Vec<_>>().join(", ")
    }

    fn read(&self, name: &str, value: &str) -> Result<(usize, f32)> {
        let known = || self.list.iter().map(|a| a.name.as_str());
        let Some(i) = self.list.iter().position(|a| a.name == name) else {
            let near = nearest(name, known()).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
            return Err(Error::config(
                "--where",
                format!("the model has no attribute \"{name}\""),
                format!("{near}it has: {}", self.names()),
            ));
        };
        let values = &self.list[i].values;
        match (values, values.read(value)) {
            // In the precision of the value, or the smallest and the largest could not be asked for.
            (Values::Number { low, high, .. }, Some(v)) if !(*low as f32..=*high as f32).contains(&v) => {
                Err(Error::config("--where", format!("{name}={value} is beyond what was learned"), format!("give {values}")))
            }
            (_, Some(v)) => Ok((i, v)),
            (Values::Number { .. }, None) => {
                Err(Error::config("--where", format!("{name} is a number, and \"{value}\" is none"), format!("give {values}")))
            }
            (Values::Categories(words), None) => {
                let near = nearest(value, words.iter().map(String::as_str)).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
                Err(Error::config("--where", format!("{name} is never \"{value}\""), format!("{near}its values: {values}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(names: &[&str]) -> Result<(Attributes, Vec<Vec<f32>>)> {
        let n = 40;
        let rows = (0..n).map(|i| Some(vec![if i % 2 == 0 { "cap".into() } else { String::new() }, format!("{}.5", i)])).collect();
        let table = AttributeTable { names: vec!["hat".into(), "age".into()], rows, on_request: false };
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let all: Vec<usize> = (0..n).collect();
        Attributes::learn(&table, &all, &names, &all)
    }

    fn ids(n: u64) -> Vec<SampleId> {
        (0..n).map(|index| SampleId { seed: 1, index }).collect()
    }

    #[test]
    fn categories_and_numbers_become_one_vector_and_come_back() {
        let (attributes, rows) = learned(&[]).unwrap();
        assert_eq!((attributes.width(), rows.len(), attributes.names()), (3, 40, "hat, age".to_owned()));
        let cells = attributes.cells(&rows[7]);
        assert_eq!(cells[0], Some(0.0), "an empty cell is a value of its own");
        assert!((cells[1].unwrap() - 7.5).abs() < 1e-4, "{cells:?}");
        let (hats, rows) = learned(&["hat"]).unwrap();
        assert_eq!((hats.width(), rows[0].iter().map(|v| v * v).sum::<f32>()), (2, 1.0));
    }

    #[test]
    fn what_is_asked_is_given_and_the_rest_is_drawn_from_the_data() {
        let (attributes, _) = learned(&[]).unwrap();
        let asked = attributes.ask(&[("hat".into(), "none".into())], &ids(20)).unwrap();
        assert!(asked.words.iter().all(|words| words.starts_with("hat=none, age=")), "{:?}", asked.words);
        assert!(asked.words.iter().collect::<BTreeSet<_>>().len() > 5);
        assert_eq!(attributes.ask(&[("hat".into(), "none".into())], &ids(20)).unwrap(), asked);
        let both = attributes.ask(&[("age".into(), "3".into()), ("hat".into(), "cap".into())], &ids(1)).unwrap();
        assert_eq!(both.words, ["hat=cap, age=3"]);
    }

    #[test]
    fn conditions_are_names_and_values() {
        let both = pairs(&["hat=cap".into(), "colour = #fff=x".into()]).unwrap();
        assert_eq!(both, [("hat".to_owned(), "cap".to_owned()), ("colour".to_owned(), "#fff=x".to_owned())]);
        assert!(pairs(&["hat=cap".into(), "hat = none".into()]).unwrap_err().to_string().contains("hat is asked for twice"));
        assert!(pairs(&["hat".into()]).unwrap_err().to_string().contains("NAME=VALUE") && pairs(&["=x".into()]).is_err());
    }

    #[test]
    fn missing_marks_among_numbers_are_unknown_and_words_among_words() {
        let ages: Vec<String> = (0..20).map(|i| if i == 3 { "NA".into() } else { format!("{i}.1") }).collect();
        let values = Values::of(&ages.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(matches!(values, Values::Number { low: 0.1, high: 19.1, .. }), "{values:?}");
        assert_eq!((values.read("NA"), values.read("")), (None, None));
        let few = Values::of(&["0", "1", "?", "1"]);
        assert_eq!((few.clone(), few.read("?")), (Values::Categories(vec!["0".into(), "1".into()]), None));
        assert_eq!(Values::of(&["cap", "-"]), Values::Categories(vec!["-".into(), "cap".into()]));
        assert_eq!(Values::of(&["-", ""]).width(), 2);
        // What is offered can be asked for, though 19.1 as a 32-bit float is more than as a 64-bit one.
        let ages = Attributes { list: vec![Attribute { name: "age".into(), values }], examples: vec![vec![Some(0.1)]] };
        assert!(ages.read("age", "19.1").is_ok() && ages.read("age", "0.1").is_ok() && ages.read("age", "19.2").is_err());
    }

    #[test]
    fn mistakes_name_what_there_is() {
        let (attributes, _) = learned(&[]).unwrap();
        let said = |name: &str, value: &str| attributes.ask(&[(name.into(), value.into())], &ids(1)).unwrap_err().to_string();
        assert!(said("hut", "cap").contains("did you mean hat?"));
        assert!(said("hat", "cop").contains("did you mean cap?") && said("hat", "x").contains("its values: none, cap"));
        assert!(said("age", "old").contains("from 0.5 to 39.5") && said("age", "99").contains("beyond"));
        assert!(learned(&["hut"]).unwrap_err().to_string().contains("it has: hat, age"));
    }

    #[test]
    fn damaged_descriptions_are_refused() {
        let (attributes, _) = learned(&[]).unwrap();
        let broken = |change: fn(&mut Attributes)| {
            let mut other = attributes.clone();
            change(&mut other);
            other.checked().is_err()
        };
        assert!(attributes.clone().checked().is_ok());
        assert!(broken(|a| a.examples[0][0] = Some(7.0)) && broken(|a| a.examples.clear()) && broken(|a| a.examples[0].truncate(1)));
        assert!(broken(|a| a.examples[0][1] = Some(f32::NAN)) && broken(|a| a.list[0].values = Values::Categories(Vec::new())));
    }
}
