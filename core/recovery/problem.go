package recovery

import "strings"

// Problem is a reason why nothing is restored.
type Problem struct {
	// Summary is one line. Where Barman 3.17 has a message for it, it is that text.
	Summary string
	// Advice says what to do next.
	Advice string
}

// String is the whole message.
func (p Problem) String() string {
	if p.Advice == "" {
		return p.Summary
	}
	return p.Summary + "\n" + p.Advice
}

// PlanError means that nothing was written, because the plan cannot work.
type PlanError struct {
	Problems []Problem
}

// Error lists all problems.
func (e *PlanError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func refuse(summary, advice string) *PlanError {
	return &PlanError{Problems: []Problem{{Summary: summary, Advice: advice}}}
}

// StepError is a step of a restore that failed after the destination had been changed.
type StepError struct {
	// Step is what was being done, in words that continue "Failure …".
	Step string
	// Destination is the directory that is not complete.
	Destination string
	Err         error
}

// Error says what to do with the destination.
func (e *StepError) Error() string {
	return "Failure " + e.Step + ": " + e.Err.Error() + "; " + e.Destination +
		" is not complete and PostgreSQL will not start on it: run the same command again to continue, or remove it"
}

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }
