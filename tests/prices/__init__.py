"""What operations cost: the price book, priced spends and holds, and the remainder to the billionth."""
