package problem

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Found is an error that names its subject, and perhaps a remedy that fits better than
// that of the kind.
type Found struct {
	Subject string // which peer, container or rule; "": the host as a whole
	Reason  string // what was found
	Remedy  string // "": that of the kind
}

func (f Found) Error() string { return f.Reason }

// About returns err with a subject; nil if err is nil.
func About(subject string, err error) error {
	if err == nil {
		return nil
	}
	return about{subject, err}
}

type about struct {
	subject string
	error
}

func (a about) Unwrap() error { return a.error }

// maxSubjects bounds the subjects of one kind that are named, and the reasons of one subject.
const maxSubjects = 10

// found splits an error that joins others. It returns one Found for each subject, sorted,
// and one without a subject that counts those beyond maxSubjects.
func found(err error) []Found {
	reasons := map[string][]string{}
	remedies := map[string]string{}
	for _, e := range split(err) {
		subject, remedy := subjectOf(e)
		reasons[subject] = append(reasons[subject], strings.ReplaceAll(e.Error(), "\n", ", "))
		if remedies[subject] == "" {
			remedies[subject] = remedy
		}
	}
	var out []Found
	for subject, texts := range reasons {
		out = append(out, Found{Subject: subject, Reason: listed(texts), Remedy: remedies[subject]})
	}
	slices.SortFunc(out, func(a, b Found) int { return strings.Compare(a.Subject, b.Subject) })
	return shortened(out)
}

// shortened names maxSubjects of all, and counts the others in one without a subject.
func shortened(all []Found) []Found {
	beyond := len(all) - maxSubjects
	if beyond <= 0 {
		return all
	}
	all, more := all[:maxSubjects], fmt.Sprintf("and %d more", beyond)
	if all[0].Subject == "" { // it sorts before all others
		all[0].Reason += "; " + more
		return all
	}
	return append([]Found{{Reason: more}}, all...)
}

// split returns the errors that errors.Join has joined. An error that fmt.Errorf made from
// several has a text of its own and stays whole.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	parts := joined.Unwrap()
	if err.Error() != errors.Join(parts...).Error() {
		return []error{err}
	}
	var out []error
	for _, e := range parts {
		out = append(out, split(e)...)
	}
	return out
}

func subjectOf(err error) (subject, remedy string) {
	var named about
	if errors.As(err, &named) {
		subject = named.subject
	}
	var f Found
	if errors.As(err, &f) {
		remedy = f.Remedy
		if subject == "" {
			subject = f.Subject
		}
	}
	return subject, remedy
}

// listed returns each text once, in order, and counts those beyond maxSubjects.
func listed(texts []string) string {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if beyond := len(texts) - maxSubjects; beyond > 0 {
		texts = append(texts[:maxSubjects:maxSubjects], fmt.Sprintf("and %d more", beyond))
	}
	return strings.Join(texts, "; ")
}
