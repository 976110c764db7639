"""What is known of the explained patients beside the measures: who they are, how well they are predicted, and who stands out."""
