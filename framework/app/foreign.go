package app

import (
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
)

var (
	// keyInText is a key path as compose-go's messages write it, and namedInText
	// the other way that they have, that of its decoder.
	keyInText   = regexp.MustCompile(`\b(services|networks|volumes|secrets|configs|include|name)(\.[\w./-]+|\[[\w.-]*\])*`)
	lineInText  = regexp.MustCompile(`\bline (\d+)(?:, column (\d+))?:? ?`)
	spaceInText = regexp.MustCompile(`\s+`)
)

// place makes a Problem of a message of compose-go's: it has no positions, but
// most messages name a key or a line.
func (l *loading) place(text string) Problem {
	text = spaceInText.ReplaceAllString(strings.TrimSuffix(text, ": invalid compose project"), " ")
	file := l.sources.files[0].name
	for _, s := range l.sources.files {
		if strings.Contains(text, s.path) {
			file = s.name
			text = strings.ReplaceAll(text, s.path, s.name)
		}
	}
	text = strings.TrimPrefix(text, "validating "+file+": ")
	if m := lineInText.FindStringSubmatch(text); m != nil {
		text = strings.TrimPrefix(text, "failed to parse "+file+": ")
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		return Problem{Position: Position{File: file, Line: line, Column: column}, Text: lineInText.ReplaceAllString(text, "")}
	}
	key := strings.TrimRight(keyInText.FindString(text), ".-")
	if !strings.ContainsAny(key, ".[") {
		return Problem{Position: Position{File: file}, Text: text}
	}
	return l.placeKey(key, text)
}

func (l *loading) placeKey(key, text string) Problem {
	p := at(strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) })...)
	if rest, ok := strings.CutPrefix(text, key); ok {
		text = strings.TrimLeft(rest, ": ")
	}
	return Problem{Position: l.sources.find(p), Path: p.String(), Text: text}
}

// logging guards the one logger that compose-go writes its warnings to.
var logging sync.Mutex

// capture turns compose-go's log lines into warnings until the function that it
// returns is called.
func (l *loading) capture() (restore func()) {
	logging.Lock()
	logger := logrus.StandardLogger()
	out, hooks := logger.Out, logger.ReplaceHooks(logrus.LevelHooks{})
	logger.SetOutput(io.Discard)
	logger.AddHook(logHook{l})
	return func() {
		logger.SetOutput(out)
		logger.ReplaceHooks(hooks)
		logging.Unlock()
	}
}

// logHook makes a warning of a log line.
type logHook struct{ loading *loading }

// Levels implements logrus.Hook.
func (logHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (h logHook) Fire(entry *logrus.Entry) error {
	text := entry.Message
	if strings.Contains(text, "attribute `version` is obsolete") {
		return nil // said with its position already
	}
	var where Position
	if _, rest, ok := strings.Cut(text, `The "`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		where = h.loading.sources.mention(name)
	}
	h.loading.report.warnings = add(h.loading.report.warnings, Problem{Position: where, Text: text})
	return nil
}

// mention is the place of the first scalar that uses a variable.
func (ss *sources) mention(variable string) Position {
	uses := regexp.MustCompile(`\$\{?` + regexp.QuoteMeta(variable) + `\b`)
	for _, s := range ss.files {
		for _, doc := range s.docs {
			if n := findScalar(doc, uses); n != nil {
				return Position{File: s.name, Line: n.Line, Column: n.Column}
			}
		}
	}
	return Position{File: filepath.Base(ss.first())}
}

func (ss *sources) first() string {
	if len(ss.files) == 0 {
		return ""
	}
	return ss.files[0].path
}
