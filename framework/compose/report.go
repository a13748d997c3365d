package compose

import "tombolo/framework/app"

// report collects the problems and warnings of one Load.
type report struct {
	app.Report
	sources sources
}

// item returns the path of item i of a list with n items. It returns the path of the
// list itself if the files' list has another length: a range of ports is one item there
// and several in the model, and the model joins the lists of several files.
func (r *report) item(list app.Path, i, n int) app.Path {
	if len(r.sources.list(list)) != n {
		return list
	}
	return list.Item(i)
}
