package app

import "encoding/json"

// bounds checks how many a service has of what its containers' labels list, and
// how long the words are that `docker run` is given.
func (c *serviceCheck) bounds() {
	c.count(len(c.Networks), "networks")
	for name, aliases := range c.Networks {
		c.count(len(aliases), "networks", name, "aliases")
	}
	c.count(len(c.Links), "links")
	if c.count(len(c.Ports), "ports") {
		c.count(len(c.Expose), "expose") // which holds the ports too
	}
	if c.Export != nil {
		c.count(len(c.Export.To), Extension, "export")
	}
	c.words()
}

func (c *serviceCheck) count(n int, key ...string) (ok bool) {
	if n > MaxItems {
		c.Problem(c.path.To(key...), "are %d, more than %d", n, MaxItems)
	}
	return n <= MaxItems
}

// words adds up the words that are made of more than one string. What strings has
// let pass is short enough by itself.
func (c *serviceCheck) words() {
	for key, value := range c.Environment {
		c.word(key+"="+value, "environment", key)
	}
	for key, value := range c.Labels {
		c.word("--label="+key+"="+value, "labels", key)
	}
	for key, value := range map[string]any{"networks": c.Networks, "links": c.Links, "expose": c.Expose} {
		if data, err := json.Marshal(value); err == nil {
			c.word("--label=tombolo."+key+"="+string(data), key)
		}
	}
	for _, f := range append(c.DockerFlags(), c.app.MountFlags(c.Name)...) {
		if words := "--" + f.Name + "=" + f.Value; len(words) > MaxString {
			c.Problem(c.path, "Docker flag %s has %d bytes, more than the %d of one word", f.Name, len(words), MaxString)
		}
	}
}

func (c *serviceCheck) word(text string, key ...string) {
	if len(text) > MaxString {
		c.Problem(c.path.To(key...), "makes a word of %d bytes, more than %d", len(text), MaxString)
	}
}
