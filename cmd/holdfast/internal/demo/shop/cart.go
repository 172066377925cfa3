package shop

import (
	"fmt"
	"maps"
)

// Product is one thing on the shelf.
type Product struct {
	SKU   string
	Name  string
	About string
	Cents int
}

// Price is the product's price as the page prints it.
func (p Product) Price() string { return price(p.Cents) }

// Catalog is all that the shop sells.
var Catalog = []Product{
	{SKU: "anchor", Name: "Folding anchor", About: "Galvanised steel, 3.2 kg", Cents: 4490},
	{SKU: "rope", Name: "Mooring rope", About: "Polyester, 14 mm, 10 m", Cents: 2650},
	{SKU: "shackle", Name: "Bow shackle", About: "Stainless, 8 mm pin", Cents: 590},
	{SKU: "cleat", Name: "Deck cleat", About: "Cast aluminium, 150 mm", Cents: 1120},
	{SKU: "lantern", Name: "Storm lantern", About: "Burns 20 hours on a filling", Cents: 3275},
	{SKU: "compass", Name: "Hand compass", About: "Liquid damped, luminous", Cents: 5800},
}

func product(sku string) (Product, bool) {
	for _, p := range Catalog {
		if p.SKU == sku {
			return p, true
		}
	}
	return Product{}, false
}

// Cart holds how many of each product were added, by SKU. A Cart is not changed once it is made, so one read from a
// session may be shared.
type Cart map[string]int

// With returns the cart with one more of sku.
func (c Cart) With(sku string) Cart {
	next := make(Cart, len(c)+1)
	maps.Copy(next, c)
	next[sku]++
	return next
}

// Count is the number of items in the cart.
func (c Cart) Count() int {
	n := 0
	for _, k := range c {
		n += k
	}
	return n
}

type line struct {
	Product
	Quantity int
}

// Sum is the line's price as the page prints it.
func (l line) Sum() string { return price(l.Cents * l.Quantity) }

// lines lists the cart in the catalog's order, and what all of it costs.
func (c Cart) lines() (lines []line, total string) {
	cents := 0
	for _, p := range Catalog {
		if n := c[p.SKU]; n > 0 {
			lines = append(lines, line{p, n})
			cents += n * p.Cents
		}
	}
	return lines, price(cents)
}

func price(cents int) string {
	return fmt.Sprintf("€ %d.%02d", cents/100, cents%100)
}
