//! Formulas such as `total = price * (1 + tax)`.

/// An equation that gives one column from others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Formula {
    /// The column on the left.
    pub target: String,
    /// In postfix order.
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Number(f64),
    Column(String),
    Negate,
    Apply(char),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(char),
}

impl Formula {
    /// Reads `target = expression`; the error says what cannot be read.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let [Token::Name(target), Token::Sign('='), expression @ ..] = tokens.as_slice() else {
            return Err(format!("\"{text}\" does not begin with a column and ="));
        };
        Ok(Self { target: target.clone(), steps: postfix(expression).ok_or_else(|| format!("\"{text}\" is not a formula"))? })
    }

    /// All columns, the target first, each once.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut columns = vec![self.target.clone()];
        for step in &self.steps {
            if let Step::Column(name) = step
                && !columns.contains(name)
            {
                columns.push(name.clone());
            }
        }
        columns
    }

    /// The value of the right side, given the value of each column; `NaN` where a value is.
    pub(crate) fn value(&self, column: impl Fn(&str) -> f64) -> f64 {
        let mut stack: Vec<f64> = Vec::new();
        for step in &self.steps {
            let value = match step {
                Step::Number(value) => *value,
                Step::Column(name) => column(name),
                Step::Negate => -stack.pop().unwrap_or(f64::NAN),
                Step::Apply(sign) => {
                    let right = stack.pop().unwrap_or(f64::NAN);
                    let left = stack.pop().unwrap_or(f64::NAN);
                    match sign {
                        '+' => left + right,
                        '-' => left - right,
                        '*' => left * right,
                        _ => left / right,
                    }
                }
            };
            stack.push(value);
        }
        stack.pop().unwrap_or(f64::NAN)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let n = match first {
            '`' => {
                let end = rest[1..].find('`').ok_or("a backtick has no partner")?;
                found.push(Token::Name(rest[1..=end].to_owned()));
                end + 2
            }
            '=' | '+' | '-' | '*' | '/' | '(' | ')' => {
                found.push(Token::Sign(first));
                1
            }
            _ if first.is_ascii_digit() || first == '.' => {
                let n = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
                found.push(Token::Number(rest[..n].parse().map_err(|_| format!("\"{}\" is not a number", &rest[..n]))?));
                n
            }
            _ if first.is_alphabetic() || first == '_' => {
                let n = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
                found.push(Token::Name(rest[..n].to_owned()));
                n
            }
            _ => return Err(format!("\"{first}\" has no meaning in a formula")),
        };
        rest = rest[n..].trim_start();
    }
    Ok(found)
}

/// Dijkstra's shunting-yard algorithm, so that brackets may be nested however deep.
fn postfix(tokens: &[Token]) -> Option<Vec<Step>> {
    let (mut steps, mut signs): (Vec<Step>, Vec<char>) = (Vec::new(), Vec::new());
    let mut expects_value = true;
    for token in tokens {
        match (token, expects_value) {
            (Token::Number(value), true) => steps.push(Step::Number(*value)),
            (Token::Name(name), true) => steps.push(Step::Column(name.clone())),
            (Token::Sign('('), true) => {
                signs.push('(');
                continue;
            }
            // '~' is the sign of a number.
            (Token::Sign('-'), true) => {
                signs.push('~');
                continue;
            }
            (Token::Sign(')'), false) => loop {
                match signs.pop()? {
                    '(' => break,
                    sign => steps.push(step(sign)),
                }
            },
            (Token::Sign(sign @ ('+' | '-' | '*' | '/')), false) => {
                while signs.last().is_some_and(|last| rank(*last) >= rank(*sign)) {
                    steps.push(step(signs.pop()?));
                }
                signs.push(*sign);
                expects_value = true;
                continue;
            }
            _ => return None,
        }
        expects_value = false;
    }
    if expects_value || signs.contains(&'(') {
        return None;
    }
    steps.extend(signs.into_iter().rev().map(step));
    Some(steps)
}

fn step(sign: char) -> Step {
    if sign == '~' { Step::Negate } else { Step::Apply(sign) }
}

fn rank(sign: char) -> u8 {
    match sign {
        '(' => 0,
        '+' | '-' => 1,
        '*' | '/' => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> f64 {
        Formula::new(&format!("t = {text}")).unwrap().value(|name| if name == "a" { 2.0 } else { 10.0 })
    }

    #[test]
    fn products_before_sums_and_brackets_first() {
        assert_eq!(value("a + b * 3"), 32.0);
        assert_eq!(value("(a + b) * 3"), 36.0);
        assert_eq!(value("b - a - 1"), 7.0);
        assert_eq!(value("-a * -b"), 20.0);
        assert_eq!(value("b / a / 5"), 1.0);
        assert_eq!(value("`two words` - 0.5"), 9.5);
    }

    #[test]
    fn columns_are_listed_once_and_the_target_first() {
        assert_eq!(Formula::new("`net total` = a + b - a").unwrap().columns(), ["net total", "a", "b"]);
    }

    #[test]
    fn what_is_no_formula_is_refused() {
        for text in ["", "t", "t =", "= a", "t = a +", "t = a b", "t = (a", "t = a)", "t = `a", "t = a ^ b", "t = 1.2.3", "1 = a", "t = ()"]
        {
            assert!(Formula::new(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "t = [a-c+*/()`0-9. -]{0,40}") {
            if let Ok(formula) = Formula::new(&text) {
                formula.value(|_| 1.0);
            }
        }
    }
}
