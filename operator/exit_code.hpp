#pragma once

namespace gobuildenv::cli {

/// What every subcommand ends with; part of the command line's contract (docs/cli.md).
enum class ExitCode {
  Ok = 0,
  Negative = 1,  ///< it ran, and the answer is no: an invalid GoBuildEnv, a pod left unchanged
  Usage = 2,     ///< wrong flags or arguments
  Input = 3,     ///< a file cannot be read or is not what it should be, or the output not written
  Unreachable = 4,  ///< the API server or another host did not answer, or refused
  Internal = 70,    ///< a defect of ours (EX_SOFTWARE)
  LostLease = 75,   ///< `manager`: another replica leads now, start again (EX_TEMPFAIL)
};

}  // namespace gobuildenv::cli
