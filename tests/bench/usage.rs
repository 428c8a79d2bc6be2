//! Processor time and memory of processes, as Linux counts them.

use std::time::{Duration, Instant};

/// What one way of reading took.
pub struct Figures {
    pub took: Duration,
    /// User and system time of its process.
    pub cpu: Duration,
    /// Most resident memory in bytes; none where the process does other things too.
    pub peak: Option<u64>,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub cpu: Duration,
    /// Most resident memory in bytes; 0 once the process has ended.
    pub peak: u64,
}

impl std::ops::Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), peak: self.peak }
    }
}

/// `USER_HZ`, which Linux fixes at 100 for what it shows.
const TICK: Duration = Duration::from_millis(10);
/// Between two looks at a process that is expected to end.
const POLL: Duration = Duration::from_millis(5);

impl Usage {
    /// Of a process.
    pub fn of(pid: u32) -> Self {
        let (_, cpu) = stat(pid);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Self { cpu, peak: kibibytes.unwrap_or(0) * 1024 }
    }

    /// Of this process.
    pub fn of_us() -> Self {
        Self::of(std::process::id())
    }

    /// Of a child of ours until it has ended; the caller still has to wait for it.
    pub fn until_end(pid: u32) -> Figures {
        let begin = Instant::now();
        let mut peak = 0;
        loop {
            let (state, cpu) = stat(pid);
            if state == 'Z' {
                return Figures { took: begin.elapsed(), cpu, peak: Some(peak) };
            }
            peak = Self::of(pid).peak.max(peak);
            std::thread::sleep(POLL);
        }
    }
}

/// State and processor time.
fn stat(pid: u32) -> (char, Duration) {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that was not waited for");
    // The name, in parentheses, may hold anything; the state follows it, user and system time are 11 further on.
    let (_, fields) = text.rsplit_once(')').expect("a line of /proc/PID/stat");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u32>().expect("a number of ticks");
    (fields[0].chars().next().expect("a state"), TICK * (ticks(11) + ticks(12)))
}
